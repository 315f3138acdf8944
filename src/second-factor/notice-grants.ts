import { type RawBuilder, sql } from 'kysely'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Clock } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import { mayText, type PhoneNumber, prefixOf } from '../phone-number.ts'
import {
  chainOf,
  type Link,
  passedUpTo,
  type SendLimitRules,
  type SendRefusalReason,
  sourceOf,
} from './send-chain.ts'
import { countSend, sendsNow } from './send-limits.ts'

/** Why a notice may not go by text. */
export type NoticeRefusalReason = SendRefusalReason | 'country-not-allowed'

export interface TextTo {
  number: PhoneNumber
  country: string | null
}

/** Notices that a number is told beyond its codes, so that one who used up its texts silences less of what they do next. */
const MORE_FOR_NUMBER = 2
/** The same for what many numbers share. */
const MORE_FOR_MANY = 1.1

/**
 * Whether a notice may go by text. It counts under the limits of all texts, but may go a little beyond them.
 * Those of accounts, addresses and strangers are left out: they are for who asks for texts, and nobody asks for a
 * notice.
 */
export function createNoticeGrants({
  clock,
  fingerprint,
  rules,
  allowedCountries,
}: {
  clock: Clock
  fingerprint: Fingerprints
  rules: SendLimitRules
  allowedCountries: ReadonlySet<string> | '*'
}) {
  const widened = widen(rules)

  function statement({ number, country }: TextTo): RawBuilder<{ refusal: SendRefusalReason }> {
    const chain = chainOf(widened, null, { judged: false })
    return sql`
      with ready as (
        select ${fingerprint('phone', number)}::bytea as number_fingerprint,
          ${fingerprint('phone-prefix', prefixOf(number))}::bytea as prefix_fingerprint, ${country}::text as country
      ),
      asked as materialized (
        select case
          ${refusals(chain, (link) => sql`${sendsNow(clock, link)} >= ${link.most}`)}
        end as refusal from ready
      ),
      by_account as (select from asked where refusal is null),
      ${sql.join(chain.map((link, index) => sql`${sql.ref(link.name)} as (${countSend(clock, link, sourceOf(chain, index))})`))},
      decided as (
        select case
          when asked.refusal is not null then asked.refusal
          ${refusals(chain, (_, index) => sql`not ${passedUpTo(chain, index)}`)}
        end as refusal from ready, asked
      )
      select refusal from decided where refusal is not null`
  }

  return {
    /**
     * Counts one text under every limit, unless that would make more than one of them.
     * @returns why it may not be sent; undefined when it may, and was counted
     */
    async count(on: Db, to: TextTo): Promise<NoticeRefusalReason | undefined> {
      if (!mayText(to.country, allowedCountries)) return 'country-not-allowed'
      const { rows } = await retrying(() => statement(to).execute(on))
      return rows[0]?.refusal
    },
  }
}

function refusals(
  chain: readonly Link[],
  when: (link: Link, index: number) => RawBuilder<unknown>,
): RawBuilder<unknown> {
  const cases = chain.map((link, index) => sql`when ${when(link, index)} then ${link.refusal}`)
  return sql.join(cases, sql` `)
}

function widen(rules: SendLimitRules): SendLimitRules {
  const forMany = (most: number) => Math.ceil(most * MORE_FOR_MANY)
  return {
    ...rules,
    phoneHour: rules.phoneHour + MORE_FOR_NUMBER,
    phoneDay: rules.phoneDay + MORE_FOR_NUMBER,
    prefixHour: forMany(rules.prefixHour),
    countryHour: rules.countryHour && forMany(rules.countryHour),
    globalHour: forMany(rules.globalHour),
    globalDay: forMany(rules.globalDay),
  }
}
