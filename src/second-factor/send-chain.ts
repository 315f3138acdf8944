import { type RawBuilder, sql } from 'kysely'
import { DAY, HOUR, type SendLimit } from './send-limits.ts'

export interface SendLimitRules {
  phoneHour: number
  phoneDay: number
  addressHour: number
  prefixHour: number
  /** sends to newcomers in one block within a day that may be unanswered; each right code makes it one more */
  prefixUnanswered: number
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
  | 'prefix-unanswered'
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
  prefixUnanswered: 0x14,
  countryUnanswered: 0x06,
  countryUnansweredDay: 0x16,
}

/**
 * From the narrowest to the widest, which is the order in which rows are locked and the busiest ones held the shortest.
 * @param addressKey null for sends that nobody asks for
 * @param judged whether sends may be to strangers, as `ready.stranger` and `ready.newcomer` then tell; see `strangerLimits`
 */
export function chainOf(
  rules: SendLimitRules,
  addressKey: Buffer | RawBuilder<Buffer> | null,
  { judged }: { judged: boolean },
): Link[] {
  const number = sql`ready.number_fingerprint`
  const overall = overallLimits(rules)
  const unanswered = strangerLimits(rules, 'ready', (most) => sql`(select ${most} from allowed)`)
  const stranger = sql<boolean>`ready.stranger`
  // Numbers from before there were fingerprints of their block have none.
  const hasPrefix = sql<boolean>`ready.prefix_fingerprint is not null`
  const limits: Array<Link | false> = [
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
    addressKey !== null && {
      name: 'by_address',
      refusal: 'address-limit',
      key: keyOf(KIND.address, sql`${addressKey}::bytea`),
      most: rules.addressHour,
      span: HOUR,
    },
    judged && {
      name: 'by_prefix_unanswered',
      refusal: 'prefix-unanswered',
      ...unanswered.prefix,
      applies: sql`(ready.newcomer and ${hasPrefix})`,
    },
    {
      name: 'by_prefix',
      refusal: 'prefix-limit',
      key: keyOf(KIND.prefix, sql`ready.prefix_fingerprint`),
      most: rules.prefixHour,
      span: HOUR,
      applies: hasPrefix,
    },
    judged && {
      name: 'by_country_unanswered',
      refusal: 'country-paused',
      ...unanswered.countryHour,
      applies: stranger,
    },
    judged && {
      name: 'by_country_unanswered_day',
      refusal: 'country-paused',
      ...unanswered.countryDay,
      applies: stranger,
    },
    rules.countryHour !== undefined && {
      name: 'by_country',
      refusal: 'country-limit',
      key: keyOf(KIND.country, sql`convert_to(ready.country, 'UTF8')`),
      most: rules.countryHour,
      span: HOUR,
    },
    { name: 'by_overall', refusal: 'overall-limit', ...overall.hour },
    { name: 'by_overall_day', refusal: 'overall-day-limit', ...overall.day },
  ]
  return limits.filter((limit) => limit !== false)
}

/**
 * What limits sends to strangers: to newcomers, whose numbers they typed in and haven't proven, and to numbers that are
 * asked for from browsers in which no code of the account was ever right. They count here while nobody answers
 * them; in a block of numbers, those to newcomers alone.
 * @param of table whose `prefix_fingerprint` and `country` it is about
 * @param allowed expression of a column of `SendTraffic.allowances`
 */
export function strangerLimits(
  { prefixUnanswered }: Pick<SendLimitRules, 'prefixUnanswered'>,
  of: string,
  allowed: (most: RawBuilder<number>) => RawBuilder<number>,
): Record<'prefix' | 'countryHour' | 'countryDay', SendLimit> {
  const country = sql`convert_to(${sql.ref(`${of}.country`)}, 'UTF8')`
  return {
    prefix: {
      key: keyOf(KIND.prefixUnanswered, sql.ref(`${of}.prefix_fingerprint`)),
      most: prefixUnanswered,
      span: DAY,
    },
    countryHour: {
      key: keyOf(KIND.countryUnanswered, country),
      most: allowed(sql`allowed.hour_most`),
      span: HOUR,
    },
    countryDay: {
      key: keyOf(KIND.countryUnansweredDay, country),
      most: allowed(sql`allowed.day_most`),
      span: DAY,
    },
  }
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
