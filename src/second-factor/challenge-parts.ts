import { type RawBuilder, sql } from 'kysely'

export interface ChallengeRules {
  /** digits */
  length: number
  ttlSeconds: number
  maxAttempts: number
  resendSeconds: number
  maxSends: number
  sms: {
    allowedCountries: ReadonlySet<string> | '*'
    limits: { phoneHour: number; addressHour: number; globalHour: number }
  }
}

/** Where a challenge belongs: an interaction in one browser, both as hashes. */
export interface Seat {
  interaction: Buffer
  browser: Buffer
}

/** A phone as the statements hand it over, still sealed. */
export interface PhoneRow {
  phone_id: string
  number: Buffer
  country: string | null
  hotp_secret: Buffer | null
}

/** Neither passed nor ended nor expired. */
export const isOpen = (alias: string, now: RawBuilder<Date>) => sql`
  ${sql.ref(`${alias}.passed_at`)} is null and ${sql.ref(`${alias}.closed_at`)} is null
  and ${sql.ref(`${alias}.expires_at`)} > ${now}`

/** The one challenge of a seat that counts. */
export const newestOf = ({ interaction, browser }: Seat) => sql`
  where interaction = ${interaction} and browser = ${browser} order by created_at desc limit 1`

/** Whether the account of second factor `s` takes no codes just now. */
export const isLocked = (now: RawBuilder<Date>) => sql`
  (s.disabled_at is not null or coalesce(s.locked_until > ${now}, false))`
