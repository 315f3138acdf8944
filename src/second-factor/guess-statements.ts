import { sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import { type GrowingLock, lockedUntil } from '../db/growing-lock.ts'
import { type ChallengeRules, isLocked, isOpen, newestOf, type Seat } from './challenge-parts.ts'

/** Over all challenges of an account. */
const LOCK: GrowingLock = { after: 10, firstSeconds: 600, longestSeconds: 86_400 }
/** Failures in a row after which the second factor is off until an admin acts (NIST SP 800-63B-4 3.2.2). */
const FAILURES_BEFORE_DISABLING = 100

/** A guess that was counted, or why it wasn't. */
export interface Guess {
  id: string
  counter: string
  phone_id: string
  hotp_secret: Buffer | null
  account_id: string
  /** whether it may be judged */
  counted: boolean
  /** whether it is the failure that turns the second factor off, if it is one */
  last: boolean
  /** whether the challenge was passed before, and this guess may be compared with its code all the same */
  again: boolean
}

/** The statements that judge a guess: count it first, then let it pass at most once. */
export function createGuessStatements(clock: Clock, rules: ChallengeRules) {
  return {
    /**
     * Counts a guess, on the challenge and on the account, before it is judged. `counted` tells whether it
     * may be judged. A challenge that was passed takes the rest of its guesses for the same code once more,
     * in case the answer to the right one was lost. No row: there is no challenge.
     */
    guess(seat: Seat) {
      const now = clock()
      return sql<Guess>`
        with held as (select * from challenge ${newestOf(seat)} for update),
        guarded as (
          update second_factor s set
            failures = s.failures + 1,
            locked_until = ${lockedUntil(now, sql`s.failures + 1`, LOCK)},
            disabled_at = case when s.failures + 1 >= ${FAILURES_BEFORE_DISABLING} then ${now} end
          from held
          where s.account_id = held.account_id and not ${isLocked(now)}
            and ${isOpen('held', now)} and held.attempts < ${rules.maxAttempts}
          returning s.disabled_at is not null as last
        ),
        counted as (
          update challenge c set attempts = c.attempts + 1 from held, guarded where c.id = held.id
          returning c.id
        ),
        again as (
          update challenge c set attempts = c.attempts + 1 from held
          where c.id = held.id and held.passed_at is not null and held.closed_at is null
            and held.expires_at > ${now} and held.attempts < ${rules.maxAttempts}
          returning c.id
        )
        select held.id, held.counter, held.phone_id, p.hotp_secret, held.account_id,
          exists (select from counted) as counted, coalesce((select last from guarded), false) as last,
          exists (select from again) as again
        from held join phone p on p.id = held.phone_id`
    },

    /** When a challenge was passed, in seconds since 1970. No row: it wasn't. */
    passedAt(id: string) {
      return sql<{ passed_at: number }>`
        select floor(extract(epoch from passed_at))::int as passed_at from challenge
        where id = ${id} and passed_at is not null`
    },

    /**
     * Marks a challenge as passed, if nobody did before: the row tells. In the same breath the failures are
     * forgotten, the phone is proven, and this browser's other challenges of the account end.
     */
    pass({ id, last }: Guess) {
      const now = clock()
      return sql<{ account_id: string; passed_at: number }>`
        with passed as (
          update challenge c set passed_at = ${now} where c.id = ${id} and ${isOpen('c', now)}
          returning c.account_id, c.phone_id, c.browser
        ),
        forgiven as (
          update second_factor s set failures = 0, locked_until = null,
            disabled_at = case when ${last} then null else s.disabled_at end
          from passed
          where s.account_id = passed.account_id
        ),
        proven as (
          update phone p set verified_at = ${now} from passed
          where p.id = passed.phone_id and p.verified_at is null
        ),
        ended as (
          update challenge c set closed_at = ${now} from passed
          where c.account_id = passed.account_id and c.browser = passed.browser and c.id <> ${id} and ${isOpen('c', now)}
        )
        select account_id, floor(extract(epoch from ${now}))::int as passed_at from passed`
    },
  }
}
