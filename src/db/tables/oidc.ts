import type { ColumnType, Generated } from 'kysely'

export interface ClientTable {
  id: string
  name: string | null
  /** sealed; null for public clients */
  secret: Buffer | null
  /** registered metadata in the words of OpenID Connect Dynamic Client Registration */
  metadata: ColumnType<Record<string, unknown>, string, string>
  first_party: Generated<boolean>
  second_factor: 'required' | 'optional' | null
  /** moves by one with each change */
  version: Generated<number>
  created_at: Generated<Date>
  updated_at: Generated<Date>
  /** sealed; still good until the time beside it */
  previous_secret: Buffer | null
  previous_secret_until: Date | null
  /** id of the registration token of a client that registered itself */
  registered_by: string | null
}

export interface OidcRecordTable {
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
  /** keyed hash of the code that a device shows */
  user_code_key: Buffer | null
  expires_at: Date | null
  consumed_at: Date | null
}

export interface LogoutDeliveryTable {
  id: Generated<string>
  client_id: string
  account_id: string
  sid: string | null
  created_at: Date
  next_try_at: Date
  tries: Generated<number>
}

export interface ApiTable {
  id: string
  /** what apps ask for it by, and what stands in `aud` */
  resource: string
  name: string
  scopes: string[]
  lifetime_seconds: number
  algorithm: string
  created_at: Generated<Date>
}

export interface OidcReplayTable {
  /** hash of who showed it and its id */
  key: Buffer
  expires_at: Date
}

export interface RegistrationTokenTable {
  id: string
  /** hash of the token */
  key: Buffer
  name: string | null
  uses: number
  uses_left: number
  created_at: Date
  expires_at: Date
}

export interface DevicePollTable {
  /** hash of a device code */
  key: Buffer
  polled_at: Date
  /** how long the device has to wait by now */
  interval_seconds: number
  /** whether it came too soon the last time */
  hasty: boolean
  expires_at: Date
}

export interface UserCodeTryTable {
  /** hash of an address's fingerprint, or of everywhere */
  key: Buffer
  began_at: Date
  wrong: number
}

export interface SigningKeyTable {
  kid: string
  algorithm: string
  /** sealed JWK */
  private_jwk: Buffer
  created_at: Generated<Date>
  /** from when it signs */
  activates_at: Generated<Date>
  /** until when it verifies; null while no other takes over */
  retires_at: Date | null
  /** algorithms that there were keys of when it was the newest; null from a version that doesn't say */
  made_with: string[] | null
}
