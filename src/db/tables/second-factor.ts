import type { Generated } from 'kysely'
import type { BigInt8 } from './int8.ts'

export interface SecondFactorTable {
  account_id: string
  /** wrong codes in a row since the last right one, over all challenges and factors */
  failures: Generated<number>
  locked_until: Date | null
  /** set after too many failures altogether; only an admin clears it */
  disabled_at: Date | null
  /** until when a new factor is held off although it is the only one: the last one was just removed */
  hold_new_until: Date | null
  /** codes sent since one was right */
  sends_since_success: Generated<number>
  /** how many of them began a sign-in */
  starts_since_success: Generated<number>
  last_send_at: Date | null
}

export interface PhoneTable {
  id: string
  account_id: string
  /** sealed E.164 */
  number: Buffer
  number_fingerprint: Buffer
  /** of the number without its last four digits; null for numbers from before there was one */
  prefix_fingerprint: Buffer | null
  country: string | null
  is_primary: boolean
  verified_at: Date | null
  /** sealed, 20 bytes; null until the first challenge */
  hotp_secret: Buffer | null
  hotp_counter: BigInt8
  created_at: Generated<Date>
  /** the person's own name for it */
  label: string | null
  /** where it stands among the account's phones that aren't primary */
  position: Generated<number>
  /** typed in by the person and not proven yet: it counts for nothing but being proven */
  pending: Generated<boolean>
  /** until when it can't be the only proof for a sensitive change */
  held_until: Date | null
  /** why texts don't reach it, and until when none is tried */
  fault: 'opted-out' | 'landline' | 'barred' | null
  fault_until: Date | null
}

export interface AuthenticatorTable {
  id: string
  account_id: string
  /** sealed, 20 bytes */
  secret: Buffer
  /** null until its first right code: it counts for nothing until then */
  confirmed_at: Date | null
  held_until: Date | null
  /** number of the 30 seconds whose code was used last */
  last_step: BigInt8 | null
  created_at: Date
}

export interface BackupCodeTable {
  /** fingerprint of account and code */
  hash: Buffer
  account_id: string
  created_at: Date
  used_at: Date | null
}

export interface BypassCodeTable {
  id: string
  account_id: string
  /** fingerprint of account and code */
  hash: Buffer
  created_at: Date
  expires_at: Date
  /** actors, as in the audit trail */
  created_by: string
  needs_approval: boolean
  approved_by: string | null
  approved_at: Date | null
  used_at: Date | null
}

export interface TrustedDeviceTable {
  id: string
  account_id: string
  token_hash: Buffer
  /** as in "Firefox on Windows" */
  browser: string
  created_at: Date
  rotated_at: Date
  expires_at: Date
}

/** What is wrong with a number, or with sending to it just now. */
export type SendProblem = 'opted-out' | 'landline' | 'barred' | 'sim-swapped'

export interface ChallengeTable {
  id: string
  /** hash of the interaction's uid */
  interaction: Buffer
  /** hash of the secret in the browser's cookie */
  browser: Buffer
  account_id: string
  /** the phone it was sent to; null while another factor is asked for */
  phone_id: string | null
  counter: BigInt8 | null
  authenticator_id: string | null
  purpose: Generated<'sign-in' | 'enrolment' | 'self-service' | 'phone-check'>
  /** whether a code of the account was right in this browser before */
  known_browser: Generated<boolean>
  channel: Generated<'sms' | 'voice'>
  created_at: Date
  expires_at: Date
  attempts: Generated<number>
  sends: Generated<number>
  last_sent_at: Date
  /** when it was clear that no gateway took the last send */
  send_failed_at: Date | null
  /** why, where it is not the gateways' fault */
  send_problem: SendProblem | null
  /** of the page that asked for the last send */
  language: string | null
  /** sends that nobody asked for: the one before was accepted and not delivered */
  reroutes: Generated<number>
  passed_at: Date | null
  /** guesses after it was over; they count for nothing, and only so many are recorded */
  late_tries: Generated<number>
  passed_with: 'sms' | 'voice' | 'totp' | 'backup-code' | 'bypass-code' | null
  closed_at: Date | null
}

export interface SendLimitTable {
  key: Buffer
  /** number of the five minutes that `slots` begins with, counted from 1970 */
  slot: BigInt8
  /** sends in the slot that is running and those before, newest first: five minutes each, or an hour for limits of a day */
  slots: number[]
}
