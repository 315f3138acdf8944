import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Clock } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { GrowingLock } from '../db/growing-lock.ts'
import type { Db } from '../db/schema.ts'
import { usernameKey } from './account.ts'
import type { LinkPurpose, Links } from './links.ts'
import type { Throttle } from './throttle.ts'

export type LinkMails = ReturnType<typeof createLinkMails>

export interface LinkMail {
  accountId: string
  kind: `mail.${LinkPurpose}`
  /** tag of the language it is written in; null for the default */
  language: string | null
  to: string
  link: string
  lifeSeconds: number
}

/** Queues a mail in the transaction that makes its link. @returns whether it is going to be sent */
export type MailLink = (on: Db, mail: LinkMail) => Promise<boolean>

export interface MadeLink {
  link: string
  mailed: boolean
}

/** Takes back a link that nobody would get, so that the one before stays. */
class NotQueued extends Error {}

/** How often a new password may be asked for, for one name and from one address. */
const ASKED_FOR_NAME: GrowingLock = { after: 3, firstSeconds: 300, longestSeconds: 3600 }
const ASKED_FROM_ADDRESS: GrowingLock = { after: 20, firstSeconds: 60, longestSeconds: 900 }

/** Accounts that share an address are all written to, up to so many. */
const SHARING_AT_MOST = 5

interface Dependencies {
  db: Db
  clock: Clock
  issuer: string
  links: Links
  throttle: Throttle
  fingerprint: Fingerprints
  /** undefined where no mail can be sent */
  mailLink: MailLink | undefined
}

/** Hands over one-time links: by mail, or to an administrator who does it. */
export function createLinkMails(deps: Dependencies) {
  const { db, clock, issuer, links, throttle, fingerprint, mailLink } = deps
  const keyOfName = (name: string) => fingerprint('name', `reset\0${usernameKey(name)}`)
  const keyOfAddress = (address: string) => fingerprint('address', `reset\0${address}`)

  interface Reader {
    id: string
    email: string | null
    language: string | null
  }

  /** @returns undefined when the last link is too young for another, or no mail could bring it */
  async function make(
    { id, email, language }: Reader,
    purpose: LinkPurpose,
  ): Promise<MadeLink | undefined> {
    const making = async (trx: Db): Promise<MadeLink | undefined> => {
      const token = await links.make(trx, id, purpose)
      if (token === undefined) return undefined
      const type = purpose === 'invitation' ? 'account.invited' : 'password.reset-asked'
      await auditEntry(clock, { type, accountId: id }).execute(trx)
      const link = `${issuer}/link/${token}`
      if (email !== null && mailLink) {
        const lifeSeconds = links.lifeSeconds(purpose)
        const mail = { accountId: id, to: email, language, link, lifeSeconds }
        const queued = await mailLink(trx, { ...mail, kind: `mail.${purpose}` })
        // An invitation is handed over by whoever asked for it, too.
        if (!queued && purpose === 'password-reset') throw new NotQueued()
        return { link, mailed: queued }
      }
      return { link, mailed: false }
    }
    return retrying(() => db.transaction().execute(making)).catch(async (error: unknown) => {
      if (!(error instanceof NotQueued)) throw error
      // The link is taken back, and with it what the transaction said of its mail.
      const detail = { kind: `mail.${purpose}`, reason: 'too-many' }
      await auditEntry(clock, { type: 'notice.failed', accountId: id, detail }).execute(db)
      return undefined
    })
  }

  return {
    canMail: mailLink !== undefined,

    /**
     * Counts that someone asks for a new password, the same way whether or not there is such an account.
     * @param name user name or e-mail address
     * @returns for how many seconds they mustn't ask, 0 if they may now
     */
    async countAsking(name: string, address: string): Promise<number> {
      const wait = await throttle.countUse(keyOfAddress(address), ASKED_FROM_ADDRESS)
      return wait || throttle.countUse(keyOfName(name), ASKED_FOR_NAME)
    },

    /** Forgets that someone asked who turned out to have reason to. */
    async forgetAsking(names: readonly string[], address: string): Promise<void> {
      for (const key of [keyOfAddress(address), ...names.map(keyOfName)]) await throttle.clear(key)
    },

    /**
     * Mails a link to every account of that name or e-mail address, to the address that is stored.
     * @param language of the page it was asked on, for accounts that haven't signed in yet
     */
    async mailReset(name: string, language: string): Promise<void> {
      const key = usernameKey(name)
      const readers = await db
        .selectFrom('account')
        .select(['id', 'email', sql<string>`coalesce(language, ${language})`.as('language')])
        .where((where) =>
          where.or([where('username_key', '=', key), where(sql`lower(email)`, '=', key)]),
        )
        .where('email', 'is not', null)
        .where('disabled_at', 'is', null)
        .limit(SHARING_AT_MOST)
        .execute()
      for (const reader of readers) await make(reader, 'password-reset')
    },

    /**
     * Makes a link by which someone chooses their first password, and mails it where that can be done.
     * @returns the link is for an administrator to hand over
     */
    async invite(accountId: string): Promise<MadeLink> {
      const reader = await db
        .selectFrom('account')
        .select(['id', 'email', 'language'])
        .where('id', '=', accountId)
        .executeTakeFirstOrThrow()
      const made = await make(reader, 'invitation')
      if (made === undefined) throw new Error('an invitation was not made')
      return made
    },
  }
}
