import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import { alertEntries } from './send-alerts.ts'
import {
  chainOf,
  type Link,
  passedUpTo,
  type SendLimitRules,
  type SendRefusalReason,
  sourceOf,
  strangerLimits,
} from './send-chain.ts'
import { countSend, easesAt, sendsNow, takeBack } from './send-limits.ts'
import { createSendTraffic } from './send-traffic.ts'
import { nextSendAt, SUSPICIOUS_STARTS } from './send-waits.ts'

export type { SendLimitRules, SendRefusalReason }

export type SendGrants = ReturnType<typeof createSendGrants>

/** What a statement with `verdict` in its select list tells of a send. */
export interface GrantVerdict {
  /** null when it was granted, or when `ready` had no row */
  refused_by: SendRefusalReason | null
  /** how long it will be refused, where that is known */
  wait_seconds: number | null
  /** whether its owner should be told: codes are asked for again and again with the right password, and none is typed */
  suspicious: boolean
  /** alerts that this send raised, for the log */
  alerts: string[]
}

/** Whether a send may go out. Everything that may refuse it is looked at first; only if nothing does is it counted. */
export function createSendGrants(clock: Clock, rules: SendLimitRules) {
  const traffic = createSendTraffic(clock)
  const waitUntil = nextSendAt(rules.unanswered)
  const answeredLimits = strangerLimits(rules, 'answered', (most) => most)
  // Left to itself, PostgreSQL would run such expressions in the opposite order.
  const turnAfter = (name: string) => sql`(select count(*) from ${sql.ref(name)}) >= 0`
  const after = (name: string) => sql`from answered where stranger and ${turnAfter(name)}`

  return {
    /**
     * Common table expressions that count one send under every limit. To stand after `ready (account_id,
     * number_fingerprint, prefix_fingerprint, country, stranger, newcomer, …)`, of one row or none, in a statement that sends.
     * Among them, `granted` has one row if every limit granted the send, else none; a refusal is recorded. The
     * statement must not itself write the account's `second_factor`.
     *
     * Rows are locked in one order by all sends: the account, then limits from the narrowest to the widest. A
     * send that is refused on sight counts under no limit and locks nothing. One that only a race refuses, in
     * the moment a limit fills up, stays counted under the limits before that one in the chain: never too
     * little, and at most once for each statement that runs at that moment.
     *
     * @param addressKey null for a send that nobody asks for
     * @param starts whether the send begins a sign-in, rather than repeats a code
     */
    ctes(addressKey: Buffer | RawBuilder<Buffer> | null, starts: boolean): RawBuilder<unknown> {
      const chain = chainOf(rules, addressKey, { judged: true })
      const inCountry = chain.filter(({ refusal }) => refusal === 'country-paused')
      const now = clock()
      return sql`
        allowed as materialized (${traffic.allowances(rules.prefixUnanswered)}),
        asked as materialized (
          select case
            when s.account_id is not null and ${waitUntil} > ${now} then 'account-wait'
            ${sql.join(
              chain.map(
                (link) =>
                  sql`when ${link.applies ?? sql`true`} and ${sendsNow(clock, link)} >= ${link.most} then ${link.refusal}`,
              ),
              sql` `,
            )}
          end as refusal, ${waitUntil} as wait_until,
          case when ready.stranger then greatest(${sql.join(inCountry.map((link) => easesAt(clock, link)))}) end as paused_until
          from ready left join second_factor s on s.account_id = ready.account_id
        ),
        by_account as (
          update second_factor s set
            sends_since_success = s.sends_since_success + 1,
            starts_since_success = s.starts_since_success + ${starts ? 1 : 0}::int,
            last_send_at = ${now}
          from ready, asked
          where s.account_id = ready.account_id and asked.refusal is null and coalesce(${waitUntil} <= ${now}, true)
          returning ${starts}::bool and s.starts_since_success = ${SUSPICIOUS_STARTS} as suspicious
        ),
        ${sql.join(chain.map((link, index) => sql`${sql.ref(link.name)} as (${countSend(clock, link, sourceOf(chain, index))})`))},
        granted as (select suspicious from by_account where ${passedUpTo(chain, chain.length - 1)}),
        counted_traffic as (${traffic.countSend()}),
        ${alertEntries(clock, [
          {
            span: 'hour',
            most: rules.globalHour,
            sends: sql`(select sends from by_overall)`,
          },
          {
            span: 'day',
            most: rules.globalDay,
            sends: sql`(select sends from by_overall_day)`,
          },
        ])},
        decided as materialized (${decision(chain)}),
        audited_refusals as (${auditEntry(
          clock,
          {
            type: 'code.not-sent',
            accountId: sql`ready.account_id`,
            detail: { reason: sql`refused_by`, country: sql`ready.country` },
          },
          sql`from decided, ready where refused_by is not null`,
        )})`
    },

    /** Select list that tells what became of it; see `GrantVerdict`. */
    get verdict(): RawBuilder<GrantVerdict> {
      return sql`
        (select refused_by from decided) as refused_by,
        (select ceil(extract(epoch from refused_until - ${clock()}))::int from decided) as wait_seconds,
        coalesce((select suspicious from granted), false) as suspicious,
        array(select name from alerted) as alerts`
    },

    /**
     * Common table expressions that count that a code arrived and was typed, and take back what it had used of what
     * strangers may. To stand in the statement that passes a challenge, after `passed`, which returns the challenge's
     * row, and `forgiven`, which returns what it changed of `second_factor`: sends lock that one first too, and
     * these go on in their order, so that the two never wait for each other.
     */
    countPass: () => sql`
      answered as materialized (
        select p.country, p.prefix_fingerprint, passed.last_sent_at as sent_at,
          p.pending or not passed.known_browser as stranger, p.pending as newcomer
        from passed join phone p on p.id = passed.phone_id
        where passed.passed_with in ('sms', 'voice') and p.country is not null and exists (select from forgiven)
      ),
      answered_prefix as (${takeBack(clock, answeredLimits.prefix, 2, sql`from answered where newcomer`)}),
      answered_hour as (${takeBack(clock, answeredLimits.countryHour, 1, after('answered_prefix'))}),
      answered_day as (${takeBack(clock, answeredLimits.countryDay, 1, after('answered_hour'))}),
      counted_traffic as (${traffic.countPass(turnAfter('answered_day'))}),
      counted_day as (${traffic.countPassOfDay(turnAfter('counted_traffic'))})`,
  }
}

/** Which limit refused the send, and until when it will, where that is known. */
function decision(chain: readonly Link[]): RawBuilder<unknown> {
  const raced = chain.map(
    (link, index) => sql`when not ${passedUpTo(chain, index)} then ${link.refusal}`,
  )
  return sql`
    select
      case
        when asked.refusal is not null then asked.refusal
        when exists (select from granted) then null
        when not exists (select from by_account) then 'account-wait'
        ${sql.join(raced, sql` `)}
      end as refused_by,
      case asked.refusal
        when 'account-wait' then asked.wait_until
        when 'country-paused' then asked.paused_until
      end as refused_until
    from ready, asked`
}
