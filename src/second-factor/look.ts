import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import { type PlaceOf, shared } from '../db/prepared.ts'
import type { Db } from '../db/schema.ts'
import type { SendProblem } from '../db/tables/second-factor.ts'
import { UNDELIVERED } from '../messaging/delivery-states.ts'
import type { Channel } from '../messaging/gateway.ts'
import { type LatestMessage, latestMessage } from '../messaging/messages.ts'
import { maskPhone } from '../phone-number.ts'
import { hasBypassCode } from './bypass-code-parts.ts'
import {
  askedSends,
  type ChallengeRules,
  type Factor,
  isLocked,
  newestOf,
  type Purpose,
  type Seat,
} from './challenge-parts.ts'
import type { Phones } from './phones.ts'
import { resendWait } from './send-waits.ts'

/**
 * What became of the last send. `failed`: no gateway took it. `unconfirmed`: no gateway said yes or no, so that it may
 * yet arrive. `undelivered`: one took it and couldn't deliver it. `overdue`: one took it, and it should have arrived.
 */
export type Delivery =
  | 'sending'
  | 'accepted'
  | 'delivered'
  | 'undelivered'
  | 'overdue'
  | 'failed'
  | 'unconfirmed'

/** One of the phones a code can be sent to. */
export interface PhoneChoice {
  id: string
  masked: string
  label: string | null
  /** whether texts reach it, as far as is known */
  textable: boolean
}

export interface OpenChallenge {
  state: 'open'
  accountId: string
  purpose: Purpose
  /** what a code is asked from; null while an enrolment waits for a choice */
  asked: 'phone' | 'authenticator' | null
  /** masked; null unless a phone is asked */
  phone: string | null
  /** the account's other phones, in their order */
  otherPhones: PhoneChoice[]
  hasAuthenticator: boolean
  backupCodesLeft: number
  /** whether the help desk has made a code that can be used now */
  hasBypassCode: boolean
  /** whether there is anything to type on the page for backup codes */
  backup: boolean
  secondsLeft: number
  triesLeft: number
  sendsLeft: number
  resendInSeconds: number
  /** tag of the page that asked for the last send; null before the first */
  language: string | null
  channel: Channel
  delivery: Delivery
  /** what stands in the way of texts to this phone, where that is known */
  problem: SendProblem | null
  /** whether the last send was ours to make, since the one before wasn't delivered */
  rerouted: boolean
  /** whether a call can say the code instead */
  canCall: boolean
}

/** What a visitor's newest challenge has come to. */
export type ChallengeView =
  | { state: 'none' | 'closed' | 'expired' | 'too-many-tries' | 'disabled' }
  | { state: 'passed'; purpose: Purpose; accountId: string; factor: Factor; passedAt: number }
  | { state: 'locked'; lockSeconds: number | null }
  | OpenChallenge

interface Row {
  account_id: string
  purpose: Purpose
  phone_id: string | null
  number: Buffer | null
  authenticator_id: string | null
  others: Array<{ id: string; number: string; label: string | null; textable: boolean }>
  has_authenticator: boolean
  backup_codes_left: number
  has_bypass_code: boolean
  locked: boolean
  disabled: boolean
  lock_seconds: number | null
  attempts: number
  sends: number
  passed_with: Factor | null
  passed_at: number | null
  closed: boolean
  seconds_left: number
  resend_seconds: number
  sent_seconds_ago: number
  send_failed: boolean
  send_problem: SendProblem | null
  language: string | null
  channel: Channel
  message: LatestMessage | null
}

/** As long as a person would wait: after it, silence is no longer "on its way". */
const SENDING_AT_MOST_SECONDS = 15

/** Shows what a challenge has come to, in one statement. Changes nothing. */
export function createLook({
  db,
  clock,
  rules,
  phones,
  canCall,
}: {
  db: Db
  clock: Clock
  rules: ChallengeRules
  phones: Phones
  /** whether there are gateways that call */
  canCall: boolean
}) {
  function statement(which: RawBuilder<unknown>) {
    const now = clock()
    const wait = resendWait(rules.resendSeconds, askedSends('held'))
    return sql<Row>`
      with held as (select * from challenge ${which})
      select held.account_id, held.purpose, held.phone_id, p.number, held.authenticator_id, ${isLocked(now)} as locked,
        s.disabled_at is not null as disabled, held.attempts, held.sends, held.passed_with,
        floor(extract(epoch from held.passed_at))::int as passed_at, held.closed_at is not null as closed,
        coalesce((
          select json_agg(json_build_object('id', o.id, 'number', encode(o.number, 'base64'), 'label', o.label,
            'textable', o.fault_until is null or o.fault_until <= ${now})
            order by o.is_primary desc, o.position, o.created_at)
          from phone o where o.account_id = held.account_id and o.id is distinct from held.phone_id and not o.pending
        ), '[]') as others,
        exists (select from authenticator a where a.account_id = held.account_id and a.confirmed_at is not null) as has_authenticator,
        (select count(*)::int from backup_code b where b.account_id = held.account_id and b.used_at is null) as backup_codes_left,
        ${hasBypassCode(sql.ref('held.account_id'), now)} as has_bypass_code,
        ceil(extract(epoch from s.locked_until - ${now}))::int as lock_seconds,
        ceil(extract(epoch from held.expires_at - ${now}))::int as seconds_left,
        ceil(extract(epoch from held.last_sent_at - ${now}) + ${wait})::int as resend_seconds,
        floor(extract(epoch from ${now} - held.last_sent_at))::int as sent_seconds_ago,
        coalesce(held.send_failed_at >= held.last_sent_at, false) as send_failed,
        held.send_problem, held.language, held.channel,
        ${latestMessage({ challengeId: sql.ref('held.id'), phoneId: sql.ref('held.phone_id'), channel: sql.ref('held.channel') })} as message
      from held left join phone p on p.id = held.phone_id join second_factor s on s.account_id = held.account_id`
  }

  function openView(row: Row): OpenChallenge {
    const masked = (id: string, number: Buffer) => maskPhone(phones.open({ id, number }))
    return {
      state: 'open',
      accountId: row.account_id,
      purpose: row.purpose,
      asked: row.phone_id ? 'phone' : row.authenticator_id ? 'authenticator' : null,
      phone: row.phone_id && row.number ? masked(row.phone_id, row.number) : null,
      otherPhones: row.others.map(({ id, number, label, textable }) => ({
        id,
        masked: masked(id, Buffer.from(number, 'base64')),
        label,
        textable,
      })),
      hasAuthenticator: row.has_authenticator,
      backupCodesLeft: row.backup_codes_left,
      hasBypassCode: row.has_bypass_code,
      backup: row.backup_codes_left > 0 || row.has_bypass_code,
      secondsLeft: row.seconds_left,
      triesLeft: rules.maxAttempts - row.attempts,
      sendsLeft: Math.max(0, rules.maxSends - row.sends),
      resendInSeconds: row.send_failed ? 0 : Math.max(0, row.resend_seconds),
      language: row.language,
      channel: row.channel,
      delivery: deliveryOf(row),
      problem: row.send_problem,
      rerouted: row.message?.unasked ?? false,
      // Whoever has the SIM would be called, too.
      canCall: canCall && row.send_problem !== 'sim-swapped',
    }
  }

  const ofSeat = shared((place: PlaceOf<Seat>, on) =>
    statement(newestOf({ interaction: place('interaction'), browser: place('browser') })).compile(
      on,
    ),
  )

  return {
    ofSeat: async (seat: Seat) => viewOf((await ofSeat(db, seat)).rows[0]),

    /** @param which `where` clause of the one challenge */
    of: async (which: RawBuilder<unknown>) => viewOf((await statement(which).execute(db)).rows[0]),
  }

  function viewOf(row: Row | undefined): ChallengeView {
    if (!row) return { state: 'none' }
    const { purpose, passed_at: passedAt, passed_with: factor } = row
    const overtaken =
      purpose === 'enrolment' &&
      passedAt === null &&
      (row.has_authenticator || row.others.length > 0)
    if (row.closed || overtaken) return { state: 'closed' }
    if (passedAt !== null && factor)
      return { state: 'passed', purpose, accountId: row.account_id, factor, passedAt }
    if (row.disabled) return { state: 'disabled' }
    if (row.locked) return { state: 'locked', lockSeconds: row.lock_seconds }
    if (row.attempts >= rules.maxAttempts) return { state: 'too-many-tries' }
    if (row.seconds_left <= 0) return { state: 'expired' }
    return openView(row)
  }
}

const TAKEN: ReadonlySet<string> = new Set(['accepted', 'sending', 'sent', 'unconfirmed'])

function deliveryOf(row: Row): Delivery {
  const { state, overdue = false } = row.message ?? {}
  if (state === 'delivered') return 'delivered'
  if (state && UNDELIVERED.has(state) && !row.send_problem) return 'undelivered'
  if (row.send_failed) return 'failed'
  if (overdue) return 'overdue'
  if (state === 'unknown') return 'unconfirmed'
  if (state && TAKEN.has(state)) return 'accepted'
  return row.sent_seconds_ago < SENDING_AT_MOST_SECONDS ? 'sending' : 'unconfirmed'
}
