import type { RawBuilder } from 'kysely'
import type { SecurityChange } from '../audit/change.ts'
import type { LatestMessage } from '../messaging/messages.ts'
import type { Factor, Purpose } from './challenge-parts.ts'

/** A guess that was counted, or why it wasn't, with what it takes to judge it. */
export interface Guess {
  id: string
  account_id: string
  purpose: Purpose
  channel: 'sms' | 'voice'
  phone_id: string | null
  counter: string | null
  hotp_secret: Buffer | null
  authenticator_id: string | null
  totp_secret: Buffer | null
  last_step: string | null
  /** the database's time, in seconds since 1970 */
  at_seconds: number
  /** whether it may be judged */
  counted: boolean
  /** whether it is the failure that turns the second factor off, if it is one */
  last: boolean
  /** whether it locked the account, if it is wrong */
  locks: boolean
  /** what passed the challenge before, and when: this guess may be compared with that all the same */
  again: Factor | null
  passed_at: number | null
  /** what may have carried a code to the phone that is asked; null where nothing did */
  message: LatestMessage | null
}

/** What makes a guess right: a statement that is run with the passing, and whose row is needed for it. */
export interface Proof {
  factor: Factor
  /** as a common table expression: one row if the factor stands for it, none if it was used meanwhile */
  statement: RawBuilder<unknown>
  /** what the use of it is to the account, where its owner is told of that */
  change?: Pick<SecurityChange, 'type' | 'detail'>
}

/** A challenge that was passed; `passedAt` is in seconds of the database's clock. */
export interface Passed {
  accountId: string
  purpose: Purpose
  factor: Factor
  passedAt: number
}

/** The session a factor is added in, which stays when the account's others end; asked for only then. */
export type SessionOf = () => Promise<string | undefined>

export type GuessOutcome =
  | ({ outcome: 'right' | 'passed-already' } & Passed)
  /**
   * `used`: it was right once, and has had its use. `number-taken`: it was right, but the number it proves is
   * another account's and may not be shared. `not-judged`: the service that made it couldn't be asked.
   */
  | { outcome: 'malformed' | 'wrong' | 'used' | 'ended' | 'number-taken' | 'not-judged' }

/** Whether this browser proved a second factor lately. `held`: it did, with one that is too new for that. */
export type Freshness =
  | { state: 'fresh'; factor: Factor }
  | { state: 'held'; until: Date }
  | { state: 'stale' }
