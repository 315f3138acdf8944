import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import { type GrowingLock, lockedUntil } from '../db/growing-lock.ts'
import { type PlaceOf, prepared } from '../db/prepared.ts'
import { carrier } from '../messaging/messages.ts'
import {
  type ChallengeRules,
  type Factor,
  isLocked,
  isOpen,
  newestOf,
  type Seat,
  STAND_INS,
} from './challenge-parts.ts'
import type { Guess, Proof } from './guess-parts.ts'
import { sharedNumber } from './phone-sharing.ts'
import { ANSWERED } from './send-waits.ts'

/** Over all challenges and factors of an account. */
const LOCK: GrowingLock = { after: 10, firstSeconds: 600, longestSeconds: 86_400 }
/** Failures in a row after which the second factor is off until an admin acts (NIST SP 800-63B-4 3.2.2). */
const FAILURES_BEFORE_DISABLING = 100

/**
 * The statements that judge a guess: count it first, then let it pass at most once.
 * @param countPass common table expressions that count that a code arrived and was typed: see `send-grants`
 */
export function createGuessStatements(
  clock: Clock,
  rules: ChallengeRules,
  countPass: () => RawBuilder<unknown>,
) {
  const challengeOf = { challenge: sql`id` }

  return {
    /**
     * Counts a guess, on the challenge and on the account, before it is judged. `counted` tells whether it
     * may be judged. A challenge that was passed takes the rest of its guesses for the same code once more,
     * in case the answer to the right one was lost. No row: there is no challenge.
     */
    guess: prepared((place: PlaceOf<Seat>, on) => {
      const now = clock()
      const newest = newestOf({ interaction: place('interaction'), browser: place('browser') })
      const lock = lockedUntil(now, sql`s.failures + 1`, LOCK)
      return sql<Guess>`
        with held as (select * from challenge ${newest} for update),
        guarded as (
          update second_factor s set
            failures = s.failures + 1,
            locked_until = ${lock},
            disabled_at = case when s.failures + 1 >= ${FAILURES_BEFORE_DISABLING} then ${now} end
          from held
          where s.account_id = held.account_id and not ${isLocked(now)}
            and ${isOpen('held', now)} and held.attempts < ${rules.maxAttempts}
            and (held.phone_id is not null or held.authenticator_id is not null or held.purpose = 'sign-in')
          returning s.account_id, s.disabled_at is not null as last, s.locked_until is not null as locks
        ),
        counted as (
          update challenge c set attempts = c.attempts + 1 from held, guarded where c.id = held.id
          returning c.*
        ),
        late as (
          update challenge c set late_tries = c.late_tries + 1,
            attempts = c.attempts + (held.passed_at is not null)::int
          from held
          where c.id = held.id and not ${isOpen('held', now)} and held.late_tries < ${rules.maxAttempts}
            and (held.passed_at is null or held.attempts < ${rules.maxAttempts})
          returning c.*
        ),
        tried as (${auditEntry(
          clock,
          { type: 'code.tried', accountId: sql`account_id`, detail: challengeOf },
          sql`from counted`,
        )}),
        refused as (${auditEntry(
          clock,
          { type: 'code.refused', accountId: sql`account_id`, detail: challengeOf },
          sql`from late`,
        )}),
        locked as (${auditEntry(clock, { type: 'codes.locked', accountId: sql`account_id` }, sql`from guarded where locks`)}),
        disabled as (${auditEntry(clock, { type: 'codes.disabled', accountId: sql`account_id` }, sql`from guarded where last`)})
        select held.id, held.account_id, held.purpose, held.channel, held.phone_id, held.counter, p.hotp_secret,
          held.authenticator_id, a.secret as totp_secret, a.last_step, extract(epoch from ${now})::float8 as at_seconds,
          exists (select from counted) as counted, coalesce((select last from guarded), false) as last,
          coalesce((select locks from guarded), false) as locks,
          (select passed_with from late where closed_at is null and expires_at > ${now}) as again,
          floor(extract(epoch from held.passed_at))::int as passed_at,
          ${carrier({ challengeId: sql.ref('held.id'), phoneId: sql.ref('held.phone_id') })} as message
        from held left join phone p on p.id = held.phone_id left join authenticator a on a.id = held.authenticator_id`.compile(
        on,
      )
    }),

    /** What a wrong guess was found to be; its counting was recorded with it. */
    wrong({ id, account_id: accountId }: Guess) {
      return auditEntry(clock, { type: 'code.wrong', accountId, detail: { challenge: id } })
    },

    /** Holds a challenge and its account, in the order in which a guess takes them. */
    hold({ id }: Guess) {
      return sql`
        select from challenge c join second_factor s on s.account_id = c.account_id where c.id = ${id}
        for update`
    },

    /** When a challenge was passed by a factor, in seconds since 1970. No row: it wasn't. */
    passedAt(id: string, factor: Factor) {
      return sql<{ passed_at: number }>`
        select floor(extract(epoch from passed_at))::int as passed_at from challenge
        where id = ${id} and passed_with = ${factor}`
    },

    /** Whether the code that a phone was sent before this one passed. */
    wasPassed({ phone_id: phoneId, counter }: Guess) {
      return sql`
        select from challenge where phone_id = ${phoneId} and counter = ${counter}::bigint - 1 and passed_at is not null`
    },

    /**
     * Marks a challenge as passed, if nobody did before and it still asks for what was judged: the row tells. In the same breath the failures are
     * forgotten, the phone is proven, and this browser's other challenges of the account end. A factor that is
     * added beside others may not prove sensitive changes by itself for a while. An enrolment adds the first one
     * or none: a password alone is not enough to put another beside it.
     */
    pass(guess: Guess, { factor, statement }: Proof) {
      const { id, account_id, phone_id, counter, authenticator_id, last } = guess
      const now = clock()
      const until = sql`${now} + make_interval(secs => ${rules.holdOffSeconds})`
      return sql<{ passed_at: number; phone_added: boolean }>`
        with beside as (
          select exists (select from phone where account_id = ${account_id} and not pending)
            or exists (select from authenticator where account_id = ${account_id} and confirmed_at is not null) as others,
            exists (select from phone where account_id = ${account_id} and is_primary) as has_primary,
            (select hold_new_until from second_factor where account_id = ${account_id} and hold_new_until > ${now}) as hold
        ),
        proof as (${statement}),
        shared as (${sharedNumber(phone_id)}),
        passed as (
          update challenge c set passed_at = ${now}, passed_with = ${factor} from beside
          where c.id = ${id} and ${isOpen('c', now)} and exists (select from proof)
            and (${factor} not in ('sms', 'voice')
              or (c.phone_id = ${phone_id}::text and c.counter = ${counter}::bigint))
            and (${factor} <> 'totp' or c.authenticator_id = ${authenticator_id}::text)
            and (c.purpose <> 'enrolment' or not beside.others)
            and (${rules.sharing} <> 'refuse' or not exists (select from shared))
          returning c.*
        ),
        forgiven as (
          update second_factor s set failures = 0, locked_until = null, ${ANSWERED},
            disabled_at = case when ${last} then null else s.disabled_at end
          from passed
          where s.account_id = passed.account_id
          returning s.account_id
        ),
        ${countPass()},
        before as (select pending, verified_at from phone where id = ${phone_id}),
        proven as (
          update phone p set verified_at = coalesce(p.verified_at, ${now}), pending = false,
            is_primary = p.is_primary or (p.pending and not beside.has_primary),
            held_until = case when not p.pending then p.held_until when beside.others then ${until} else beside.hold end,
            fault = case when ${factor} = 'voice' then p.fault end, fault_until = case when ${factor} = 'voice' then p.fault_until end
          from passed, beside
          where p.id = ${phone_id} and ${factor} in ('sms', 'voice') and (p.verified_at is null or p.pending or p.fault is not null)
          returning p.account_id, p.id
        ),
        ended as (
          update challenge c set closed_at = ${now} from passed
          where c.account_id = passed.account_id and c.browser = passed.browser and c.id <> ${id} and ${isOpen('c', now)}
        ),
        right_ as (${auditEntry(
          clock,
          {
            type: 'code.right',
            accountId: sql`account_id`,
            detail: { challenge: sql`id`, factor },
          },
          sql`from passed`,
        )}),
        proven_ as (${auditEntry(
          clock,
          {
            type: 'phone.proven',
            accountId: sql`account_id`,
            detail: {
              phone: sql`id`,
              shared: sql`case when ${rules.sharing} = 'warn' and exists (select from shared) then true end`,
            },
          },
          sql`from proven, before where before.pending or before.verified_at is null`,
        )})
        select floor(extract(epoch from ${now}))::int as passed_at,
          exists (select from proven) and coalesce((select pending from before), false) as phone_added
        from passed`
    },

    /**
     * The newest code that this browser got right for an account, if that was lately enough, of a factor that is
     * still there; `held_until` if it may not prove sensitive changes yet.
     */
    proof(browser: Buffer, accountId: string, withinSeconds: number) {
      const now = clock()
      return sql<{ passed_with: Factor; held_until: Date | null }>`
        select c.passed_with, held.until as held_until
        from challenge c
        left join phone p on p.id = c.phone_id and c.passed_with in ('sms', 'voice')
        left join authenticator a on a.id = c.authenticator_id and c.passed_with = 'totp'
        cross join lateral (
          select case when coalesce(p.held_until, a.held_until) > ${now} then coalesce(p.held_until, a.held_until) end as until
        ) held
        where c.browser = ${browser} and c.account_id = ${accountId} and c.passed_at is not null
          and c.passed_at > ${now} - make_interval(secs => ${withinSeconds})
          and (c.passed_with = any(${[...STAND_INS]}) or p.id is not null or a.id is not null)
        order by (held.until is null) desc, c.passed_at desc limit 1`
    },
  }
}
