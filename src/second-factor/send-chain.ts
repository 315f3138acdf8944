import { type RawBuilder, sql } from 'kysely'
import { DAY, HOUR, type SendLimit } from './send-limits.ts'

export interface SendLimitRules {
  phoneHour: number
  phoneDay: number
  addressHour: number
  prefixHour: number
  /** none: only the whole is limited */
  countryHour: number | undefined
  globalHour: number
  globalDay: number
  /** sends in a row without a right code, before the account must wait between them */
  unanswered: number
}

/** Why a send was not granted. */
export type SendRefusalReason =
  | 'account-wait'
  | 'country-paused'
  | 'phone-limit'
  | 'phone-day-limit'
  | 'address-limit'
  | 'prefix-limit'
  | 'country-limit'
  | 'overall-limit'
  | 'overall-day-limit'

/** One link of the chain. */
export interface Link extends SendLimit {
  /** of its common table expression */
  name: string
  refusal: SendRefusalReason
  /** for a limit that not every send is under */
  applies?: RawBuilder<boolean>
}

/** Each kind of key has a first byte of its own in `send_limit`. */
const KIND = {
  phone: 0x01,
  address: 0x02,
  overall: 0x03,
  phoneDay: 0x11,
  overallDay: 0x13,
  prefix: 0x04,
  country: 0x05,
}

/** From the narrowest to the widest, which is the order in which rows are locked and the busiest ones held the shortest. */
export function chainOf(rules: SendLimitRules, addressKey: Buffer): Link[] {
  const number = sql`ready.number_fingerprint`
  const overall = overallLimits(rules)
  const limits: Array<Link | undefined> = [
    {
      name: 'by_phone',
      refusal: 'phone-limit',
      key: keyOf(KIND.phone, number),
      most: rules.phoneHour,
      span: HOUR,
    },
    {
      name: 'by_phone_day',
      refusal: 'phone-day-limit',
      key: keyOf(KIND.phoneDay, number),
      most: rules.phoneDay,
      span: DAY,
    },
    {
      name: 'by_address',
      refusal: 'address-limit',
      key: keyOf(KIND.address, sql`${addressKey}::bytea`),
      most: rules.addressHour,
      span: HOUR,
    },
    {
      name: 'by_prefix',
      refusal: 'prefix-limit',
      key: keyOf(KIND.prefix, sql`ready.prefix_fingerprint`),
      most: rules.prefixHour,
      span: HOUR,
      // Numbers from before there were fingerprints of their block have none.
      applies: sql`ready.prefix_fingerprint is not null`,
    },
    rules.countryHour === undefined
      ? undefined
      : {
          name: 'by_country',
          refusal: 'country-limit',
          key: keyOf(KIND.country, sql`convert_to(ready.country, 'UTF8')`),
          most: rules.countryHour,
          span: HOUR,
        },
    { name: 'by_overall', refusal: 'overall-limit', ...overall.hour },
    { name: 'by_overall_day', refusal: 'overall-day-limit', ...overall.day },
  ]
  return limits.filter((limit) => limit !== undefined)
}

/** The budgets of all sends. */
export function overallLimits(rules: SendLimitRules): { hour: SendLimit; day: SendLimit } {
  const nothing = sql`''::bytea`
  return {
    hour: { key: keyOf(KIND.overall, nothing), most: rules.globalHour, span: HOUR },
    day: { key: keyOf(KIND.overallDay, nothing), most: rules.globalDay, span: DAY },
  }
}

function keyOf(kind: number, subject: RawBuilder<unknown>): RawBuilder<Buffer> {
  return sql`(${Buffer.from([kind])}::bytea || ${subject})`
}

export function sourceOf(chain: readonly Link[], index: number): RawBuilder<unknown> {
  const applies = chain[index]?.applies ?? sql`true`
  return sql`from ready where ${passedUpTo(chain, index - 1)} and ${applies}`
}

/** Whether the account and the links up to this one granted the send. Each link counts only if all before it did. */
export function passedUpTo(chain: readonly Link[], index: number): RawBuilder<boolean> {
  const link = chain[index]
  if (!link) return sql`exists (select from by_account)`
  const counted = sql<boolean>`exists (select from ${sql.ref(link.name)})`
  if (!link.applies) return counted
  return sql`(${counted} or (not ${link.applies} and ${passedUpTo(chain, index - 1)}))`
}
