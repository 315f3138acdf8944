import type { Db } from '../db/schema.ts'
import type { EventType } from './event.ts'

/** Changes of what protects an account. Each is recorded, told to its owner, and ends what rested on the old state. */
export type ChangeType = Extract<
  EventType,
  | 'account.deleted'
  | 'account.disabled'
  | 'account.email-changed'
  | 'account.enabled'
  | 'account.role-changed'
  | 'authenticator.added'
  | 'authenticator.removed'
  | 'backup-code.used'
  | 'backup-codes.issued'
  | 'bypass-code.issued'
  | 'bypass-code.used'
  | 'codes.locked'
  | 'factors.reset'
  | 'password.changed'
  | 'password.chosen'
  | 'password.reset'
  | 'password.seems-known'
  | 'phone.added'
  | 'phone.made-primary'
  | 'phone.removed'
  | 'trusted-browser.copied'
>

export interface SecurityChange {
  type: ChangeType
  accountId: string
  /** a number the change is about: told of its removal, and never the only one told of its coming */
  phoneId?: string
  /** `uid` of the session the change is made in: it stays when the account's others end, and must still be there */
  sessionUid?: string | undefined
  detail?: Readonly<Record<string, string | number>>
}

/**
 * Carries out what follows from a change, in the transaction that makes it. Called while a removed phone or
 * a replaced mail address is still there, so that its owner can be told.
 */
export type OnChange = (on: Db, change: SecurityChange) => Promise<void>
