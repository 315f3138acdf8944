import type { ColumnType, Generated, Kysely } from 'kysely'

export type Db = Kysely<Database>

/** One interface per table; the room named beside it is the only one that writes it. */
export interface Database {
  /** db */
  keyring: { name: string; value: Buffer }
  /** accounts */
  account: AccountTable
  /** accounts */
  sign_in_attempt: SignInAttemptTable
  /** second-factor */
  second_factor: SecondFactorTable
  /** second-factor */
  phone: PhoneTable
  /** second-factor */
  challenge: ChallengeTable
  /** second-factor */
  send_limit: SendLimitTable
  /** messaging */
  message: MessageTable
  /** oidc */
  client: ClientTable
  /** oidc */
  oidc_record: OidcRecordTable
  /** oidc */
  signing_key: SigningKeyTable
}

/** int8: the driver hands it over as a string, so that no digit is lost; it is only ever added to in SQL. */
type BigInt8 = ColumnType<string, string | undefined, never>

interface AccountTable {
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
  created_at: Generated<Date>
}

interface SignInAttemptTable {
  /** fingerprint of a name or of a client, whether or not it exists */
  key: Buffer
  /** in a row since the last success, those still being judged included */
  failures: number
  /** tries that are being judged at this moment */
  pending: Generated<number>
  locked_until: Date | null
  last_at: Date
}

interface SecondFactorTable {
  account_id: string
  /** wrong codes in a row since the last right one, over all challenges and factors */
  failures: Generated<number>
  locked_until: Date | null
  /** set after too many failures altogether; only an admin clears it */
  disabled_at: Date | null
}

interface PhoneTable {
  id: string
  account_id: string
  /** sealed E.164 */
  number: Buffer
  number_fingerprint: Buffer
  country: string | null
  is_primary: boolean
  verified_at: Date | null
  /** sealed, 20 bytes; null until the first challenge */
  hotp_secret: Buffer | null
  hotp_counter: BigInt8
  created_at: Generated<Date>
}

interface ChallengeTable {
  id: string
  /** hash of the interaction's uid */
  interaction: Buffer
  /** hash of the secret in the browser's cookie */
  browser: Buffer
  account_id: string
  phone_id: string
  counter: BigInt8
  created_at: Date
  expires_at: Date
  attempts: Generated<number>
  sends: Generated<number>
  last_sent_at: Date
  /** when it was clear that no gateway took the last send */
  send_failed_at: Date | null
  passed_at: Date | null
  closed_at: Date | null
}

interface SendLimitTable {
  key: Buffer
  /** number of the five minutes that `slots` begins with, counted from 1970 */
  slot: BigInt8
  /** sends in these five minutes and the twelve before, newest first */
  slots: number[]
}

interface MessageTable {
  id: string
  challenge_id: string
  channel: 'sms' | 'voice'
  gateway: string
  country: string | null
  /** parts the gateway bills */
  parts: number
  state: MessageState
  provider_id: string | null
  failure: string | null
  detail: string | null
  created_at: Date
  updated_at: Date
}

export type MessageState = 'sending' | 'accepted' | 'refused' | 'unknown'

interface ClientTable {
  id: string
  name: string | null
  /** sealed; null for public clients */
  secret: Buffer | null
  /** registered metadata in the words of OpenID Connect Dynamic Client Registration */
  metadata: ColumnType<Record<string, unknown>, string, string>
  first_party: Generated<boolean>
  second_factor: 'required' | 'optional' | null
  created_at: Generated<Date>
}

interface OidcRecordTable {
  /** hash of model and id */
  key: Buffer
  model: string
  /** sealed JSON */
  payload: Buffer
  client_id: string | null
  account_id: string | null
  grant_key: Buffer | null
  uid_key: Buffer | null
  session_uid_key: Buffer | null
  expires_at: Date | null
  consumed_at: Date | null
}

interface SigningKeyTable {
  kid: string
  algorithm: string
  /** sealed JWK */
  private_jwk: Buffer
  created_at: Generated<Date>
}
