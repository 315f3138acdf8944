import { type RawBuilder, sql } from 'kysely'
import { hashToken } from '../crypto/keys.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { Sharing } from './phone-sharing.ts'

export interface ChallengeRules {
  /** digits */
  length: number
  ttlSeconds: number
  maxAttempts: number
  resendSeconds: number
  maxSends: number
  /** how long a factor that was added beside others can't be the only proof for a sensitive change */
  holdOffSeconds: number
  allowedCountries: ReadonlySet<string> | '*'
  sharing: Sharing
}

/**
 * What a challenge is for: signing in, adding the first factor while signing in, a change at `/account`, or an admin's
 * check of a number, to whom the code is read out.
 */
export type Purpose = 'sign-in' | 'enrolment' | 'self-service' | 'phone-check'

/** What a right code came from. */
export type Factor = 'sms' | 'voice' | 'totp' | 'backup-code' | 'bypass-code'

/** What stands in for a factor: whoever shows it may have found it, or talked it out of somebody. */
export const STAND_INS: ReadonlySet<Factor> = new Set(['backup-code', 'bypass-code'])

/** Whose challenge: the interaction's uid (or what stands for it) and the secret in the browser's cookie. */
export interface Visitor {
  interaction: string
  browser: string
}

/** Where a challenge belongs: an interaction in one browser, both as hashes. */
export interface Seat {
  interaction: Buffer
  browser: Buffer
}

export function seatOf({ interaction, browser }: Visitor): Seat {
  return {
    interaction: hashToken(interaction, 'interaction'),
    browser: hashToken(browser, 'browser'),
  }
}

/** Neither passed nor ended nor expired. */
export const isOpen = (alias: string, now: RawBuilder<Date>) => sql`
  (${sql.ref(`${alias}.passed_at`)} is null and ${sql.ref(`${alias}.closed_at`)} is null
  and ${sql.ref(`${alias}.expires_at`)} > ${now})`

/** The one challenge of a seat that counts. */
export const newestOf = ({
  interaction,
  browser,
}: { [Name in keyof Seat]: Buffer | RawBuilder<Buffer> }) => sql`
  where interaction = ${interaction} and browser = ${browser} order by created_at desc limit 1`

/** Whether the account of second factor `s` takes no codes just now. */
export const isLocked = (now: RawBuilder<Date>) => sql`
  (s.disabled_at is not null or coalesce(s.locked_until > ${now}, false))`

/** Why texts don't reach phone `p`, for as long as none is tried. */
export const faultOf = (now: RawBuilder<Date>) =>
  sql`(case when p.fault_until > ${now} then p.fault end)`

/** How often a challenge's code was asked for, without the sends that nobody asked for. */
export const askedSends = (alias: string): RawBuilder<number> =>
  sql`(${sql.ref(`${alias}.sends`)} - ${sql.ref(`${alias}.reroutes`)})`

/** Whether texts may go to the country of phone `p`. */
export const isAllowed = ({ allowedCountries }: ChallengeRules) =>
  allowedCountries === '*'
    ? sql`p.country is not null`
    : sql`coalesce(p.country = any(${[...allowedCountries]}), false)`

/**
 * Ends an account's open challenges: what protects it has changed (CHL-18, CHL-19). So ends an enrolment that was
 * passed and whose person hasn't gone on to the app yet, unless it was passed in this very transaction.
 */
export async function closeOpenChallenges(on: Db, clock: Clock, accountId: string): Promise<void> {
  const now = clock()
  await sql`
    update challenge c set closed_at = ${now}
    where c.account_id = ${accountId} and c.closed_at is null
      and (${isOpen('c', now)} or c.purpose = 'enrolment' and c.passed_at < ${now})`.execute(on)
}
