import type { Generated } from 'kysely'

export interface AccountTable {
  id: string
  username: string
  /** the name as it is looked up: NFKC, case folded, trimmed */
  username_key: string
  email: string | null
  email_verified: Generated<boolean>
  name: string | null
  /** PHC string */
  password_hash: string | null
  disabled_at: Date | null
  /** of the pages this person last signed in on, for notices */
  language: string | null
  created_at: Generated<Date>
  /** at the admin's side; null for most people */
  role: 'admin' | 'helpdesk' | 'auditor' | null
  /** moves with each change an admin makes, so that of two at once one hears of the other */
  version: Generated<number>
  /** words of name, full name and address, for `search`; made by the database */
  search: Generated<string>
}

export interface SignInAttemptTable {
  /** fingerprint of a name, of a name in a known browser, or of a client, whether or not it exists */
  key: Buffer
  /** fingerprint of the name alone, also where a known browser's tries are counted apart; null for a client */
  name_key: Buffer | null
  /** in a row since the last success, those still being judged included */
  failures: number
  /** tries that are being judged at this moment */
  pending: Generated<number>
  locked_until: Date | null
  last_at: Date
}

export interface OneTimeLinkTable {
  token_hash: Buffer
  account_id: string
  purpose: 'invitation' | 'password-reset'
  created_at: Date
  expires_at: Date
  used_at: Date | null
}
