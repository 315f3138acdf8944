import type Router from '@koa/router'
import type { Audit } from '../../audit/audit.ts'
import { EVENT_TYPES, type EventType } from '../../audit/event.ts'
import type { MessageKey } from '../../languages/language.ts'
import type { Clients } from '../../oidc/clients.ts'
import type { Pages } from '../pages.ts'
import { nameOfApp } from './apps.ts'
import type { Door } from './door.ts'

const HISTORY_URL = '/account/history'
const SHOWN_AT_MOST = 100

interface Dependencies {
  door: Door
  pages: Pages
  audit: Audit
  clients: Clients
}

/** What a person wants to know of; the rest of the trail is for the people who run the service. */
const SENTENCES: Partial<Record<EventType, MessageKey>> = {
  'account.created': 'history.accountCreated',
  'account.disabled': 'history.accountDisabled',
  'account.email-changed': 'history.accountEmailChanged',
  'account.enabled': 'history.accountEnabled',
  'account.unlocked': 'history.accountUnlocked',
  'authenticator.added': 'history.authenticatorAdded',
  'authenticator.removed': 'history.authenticatorRemoved',
  'backup-code.used': 'history.backupCodeUsed',
  'backup-codes.issued': 'history.backupCodesIssued',
  'bypass-code.issued': 'history.bypassCodeIssued',
  'bypass-code.used': 'history.bypassCodeUsed',
  'code.wrong': 'history.codeWrong',
  'codes.disabled': 'history.codesDisabled',
  'codes.locked': 'history.codesLocked',
  'consent.given': 'history.consentGiven',
  'consent.revoked': 'history.consentRevoked',
  'device.approved': 'history.deviceApproved',
  'factors.reset': 'history.factorsReset',
  'password.changed': 'history.passwordChanged',
  'password.chosen': 'history.passwordChosen',
  'password.locked': 'history.passwordLocked',
  'password.reset': 'history.passwordReset',
  'password.reset-asked': 'history.passwordResetAsked',
  'password.seems-known': 'history.passwordSeemsKnown',
  'password.wrong': 'history.passwordWrong',
  'phone.added': 'history.phoneAdded',
  'phone.labelled': 'history.phoneLabelled',
  'phone.made-primary': 'history.phoneMadePrimary',
  'phone.proven': 'history.phoneProven',
  'phone.removed': 'history.phoneRemoved',
  'session.ended': 'history.sessionEnded',
  'session.renewed': 'history.sessionRenewed',
  'session.started': 'history.sessionStarted',
  'trusted-browser.added': 'history.trustedBrowserAdded',
  'trusted-browser.copied': 'history.trustedBrowserCopied',
  'trusted-browser.ended': 'history.trustedBrowserEnded',
}

const SHOWN = EVENT_TYPES.filter((type) => SENTENCES[type] !== undefined)
const WORDS = new Map<string, MessageKey>(Object.entries(SENTENCES))

/** What has happened to the person's account, newest first. */
export function addHistory(router: Router, { door, pages, audit, clients }: Dependencies): void {
  async function namesOf(ids: ReadonlyArray<string | null>): Promise<Map<string, string>> {
    const names = new Map<string, string>()
    for (const id of new Set(ids)) {
      const client = id === null ? undefined : await clients.show(id)
      const name = client && nameOfApp({ id: client.id, name: client.name })
      if (client && name !== undefined) names.set(client.id, name)
    }
    return names
  }

  router.get(
    HISTORY_URL,
    door.page(async (ctx, who) => {
      const found = await audit.history(who.account.id, SHOWN, SHOWN_AT_MOST + 1)
      const shown = found.slice(0, SHOWN_AT_MOST)
      const names = await namesOf(shown.map(({ client_id: id }) => id))
      const { say } = pages.languageOf(ctx)
      pages.show(ctx, 200, 'account-history', {
        ...door.shell(ctx, who),
        events: shown.flatMap(({ at, type, actor, client_id: client }) => {
          const key = WORDS.get(type)
          if (!key) return []
          const app = names.get(client ?? '') ?? null
          return [{ at, what: say(key), app, byOthers: actor !== 'self' }]
        }),
        more: found.length > SHOWN_AT_MOST,
      })
    }),
  )
}
