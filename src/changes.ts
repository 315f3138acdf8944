import type { Audit } from './audit/audit.ts'
import type { ChangeType, OnChange, SecurityChange } from './audit/change.ts'
import { circumstances } from './audit/circumstances.ts'
import type { Clock } from './db/clock.ts'
import type { Db } from './db/schema.ts'
import type { NoticeKind } from './messaging/notice-words.ts'
import type { Notices, Recipient } from './messaging/notices.ts'
import type { Sessions } from './oidc/sessions.ts'
import type { BackupCodes } from './second-factor/backup-codes.ts'
import type { BypassCodes } from './second-factor/bypass-codes.ts'
import { closeOpenChallenges } from './second-factor/challenge-parts.ts'
import type { Phone, Phones } from './second-factor/phones.ts'
import type { TrustedDevices } from './second-factor/trusted-devices.ts'

interface Consequences {
  /** whose sessions end: all, all but the one it is done in, or none */
  sessions: 'all' | 'others' | 'none'
  /** whether remembered browsers, open challenges and codes of the help desk end */
  trust: 'ends' | 'stays'
  /** what the owner is told, if anything */
  notice: NoticeKind | undefined
  /** whether the statement that did it has recorded it */
  recorded?: true
}

/** What follows from each change (SES-07, TRD-03, CHL-18, CHL-19, ADM-05). */
const FOLLOWS: Record<ChangeType, Consequences> = {
  'account.deleted': { sessions: 'all', trust: 'ends', notice: undefined },
  'account.disabled': { sessions: 'all', trust: 'ends', notice: undefined },
  // Told at the address before: by the new one, a password can be set.
  'account.email-changed': { sessions: 'none', trust: 'stays', notice: 'email.changed' },
  'account.enabled': { sessions: 'all', trust: 'ends', notice: undefined },
  'account.role-changed': { sessions: 'all', trust: 'ends', notice: undefined },
  'authenticator.added': { sessions: 'others', trust: 'ends', notice: 'authenticator.added' },
  'authenticator.removed': { sessions: 'others', trust: 'ends', notice: 'authenticator.removed' },
  'backup-code.used': { sessions: 'none', trust: 'stays', notice: 'backup-code.used' },
  'backup-codes.issued': { sessions: 'none', trust: 'ends', notice: 'backup-codes.issued' },
  // Whoever is to use it stands before an open challenge.
  'bypass-code.issued': { sessions: 'none', trust: 'stays', notice: 'bypass-code.issued' },
  'bypass-code.used': { sessions: 'none', trust: 'stays', notice: 'bypass-code.used' },
  'codes.locked': { sessions: 'none', trust: 'stays', notice: 'codes.locked', recorded: true },
  'factors.reset': { sessions: 'all', trust: 'ends', notice: 'factors.reset' },
  'password.changed': { sessions: 'others', trust: 'ends', notice: 'password.changed' },
  'password.chosen': { sessions: 'all', trust: 'ends', notice: undefined },
  'password.reset': { sessions: 'all', trust: 'ends', notice: 'password.reset' },
  'password.seems-known': {
    sessions: 'none',
    trust: 'stays',
    notice: 'someone-has-password',
    recorded: true,
  },
  'phone.added': { sessions: 'others', trust: 'ends', notice: 'phone.added' },
  'phone.made-primary': { sessions: 'none', trust: 'ends', notice: 'phone.made-primary' },
  'phone.removed': { sessions: 'others', trust: 'ends', notice: 'phone.removed' },
  'trusted-browser.copied': { sessions: 'none', trust: 'ends', notice: 'trusted-browser.copied' },
}

interface Dependencies {
  clock: Clock
  audit: Audit
  phones: Phones
  backupCodes: BackupCodes
  bypassCodes: Pick<BypassCodes, 'endAll'>
  trustedDevices: TrustedDevices
  sessions: Sessions
  notices: Notices
  contactOf: (
    on: Db,
    accountId: string,
  ) => Promise<{ email: string | null; language: string | null }>
}

/** Carries out what follows from a change of what protects an account, in the transaction that makes it. */
export function createChanges(deps: Dependencies): OnChange {
  const { clock, audit, phones, sessions, notices } = deps

  async function tell(on: Db, change: SecurityChange, kind: NoticeKind): Promise<void> {
    const { accountId } = change
    const { email, language } = await deps.contactOf(on, accountId)
    const numbers = reachedBy(change, await phones.list(accountId, on))
    const recipients: Recipient[] = numbers.map(({ number, country }) => ({
      medium: 'sms',
      to: number,
      country,
    }))
    if (email !== null) recipients.push({ medium: 'mail', to: email })
    const { place } = circumstances()
    const left =
      change.type === 'backup-code.used'
        ? (await deps.backupCodes.count(accountId, on)).left
        : undefined
    const detail = { ...place, ...(left !== undefined && { left }) }
    await notices.queue(on, { accountId, kind, language, recipients, detail })
  }

  return async (on, change) => {
    const { type, accountId, phoneId, sessionUid, detail } = change
    const follows = FOLLOWS[type]
    if (sessionUid !== undefined) await sessions.assertLive(on, accountId, sessionUid)
    if (!follows.recorded) {
      const named = { ...(phoneId && { phone: phoneId }), ...detail }
      await audit.record({ type, accountId, detail: named }, on)
    }
    if (follows.trust === 'ends') {
      await deps.trustedDevices.endAll(accountId, on)
      await deps.bypassCodes.endAll(accountId, on)
      await closeOpenChallenges(on, clock, accountId)
    }
    if (follows.sessions !== 'none')
      await sessions.endAll(on, accountId, follows.sessions === 'others' ? sessionUid : undefined)
    if (follows.notice) await tell(on, change, follows.notice)
  }
}

/**
 * The numbers a change is told to: all that were there before, the one that is taken away among them, since
 * nobody knows which of them is in whose hands. Never a number that has just come, nor one that is still held
 * off: those may be a thief's.
 */
function reachedBy({ type, phoneId }: SecurityChange, held: readonly Phone[]): Phone[] {
  return held.filter(
    ({ id, heldUntil, verified }) =>
      verified && heldUntil === null && !(type === 'phone.added' && id === phoneId),
  )
}
