import { sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { MessageState } from '../db/tables/messaging.ts'
import { latestMessageState } from '../messaging/messages.ts'
import { maskPhone } from '../phone-number.ts'
import {
  type ChallengeRules,
  type Factor,
  isLocked,
  newestOf,
  type Purpose,
  type Seat,
} from './challenge-parts.ts'
import type { Phones } from './phones.ts'
import { resendWait } from './send-waits.ts'

/** What became of the last send; `unconfirmed`: no gateway said yes or no, so that the text may yet arrive. */
export type Delivery = 'sending' | 'accepted' | 'failed' | 'unconfirmed'

/** One of the phones a code can be sent to. */
export interface PhoneChoice {
  id: string
  masked: string
  label: string | null
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
  secondsLeft: number
  triesLeft: number
  sendsLeft: number
  resendInSeconds: number
  delivery: Delivery
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
  others: Array<{ id: string; number: string; label: string | null }>
  has_authenticator: boolean
  backup_codes_left: number
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
  message: MessageState | null
}

/** As long as a person would wait: after it, silence is no longer "on its way". */
const SENDING_AT_MOST_SECONDS = 15

/** Shows what a visitor's newest challenge has come to, in one statement. Changes nothing. */
export function createLook({
  db,
  clock,
  rules,
  phones,
}: {
  db: Db
  clock: Clock
  rules: ChallengeRules
  phones: Phones
}) {
  function statement(seat: Seat) {
    const now = clock()
    const wait = resendWait(rules.resendSeconds, sql`held.sends`)
    return sql<Row>`
      with held as (select * from challenge ${newestOf(seat)})
      select held.account_id, held.purpose, held.phone_id, p.number, held.authenticator_id, ${isLocked(now)} as locked,
        s.disabled_at is not null as disabled, held.attempts, held.sends, held.passed_with,
        floor(extract(epoch from held.passed_at))::int as passed_at, held.closed_at is not null as closed,
        coalesce((
          select json_agg(json_build_object('id', o.id, 'number', encode(o.number, 'base64'), 'label', o.label)
            order by o.is_primary desc, o.position, o.created_at)
          from phone o where o.account_id = held.account_id and o.id is distinct from held.phone_id and not o.pending
        ), '[]') as others,
        exists (select from authenticator a where a.account_id = held.account_id and a.confirmed_at is not null) as has_authenticator,
        (select count(*)::int from backup_code b where b.account_id = held.account_id and b.used_at is null) as backup_codes_left,
        ceil(extract(epoch from s.locked_until - ${now}))::int as lock_seconds,
        ceil(extract(epoch from held.expires_at - ${now}))::int as seconds_left,
        ceil(extract(epoch from held.last_sent_at - ${now}) + ${wait})::int as resend_seconds,
        floor(extract(epoch from ${now} - held.last_sent_at))::int as sent_seconds_ago,
        coalesce(held.send_failed_at >= held.last_sent_at, false) as send_failed,
        ${latestMessageState(sql.ref('held.id'))} as message
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
      otherPhones: row.others.map(({ id, number, label }) => ({
        id,
        masked: masked(id, Buffer.from(number, 'base64')),
        label,
      })),
      hasAuthenticator: row.has_authenticator,
      backupCodesLeft: row.backup_codes_left,
      secondsLeft: row.seconds_left,
      triesLeft: rules.maxAttempts - row.attempts,
      sendsLeft: Math.max(0, rules.maxSends - row.sends),
      resendInSeconds: row.send_failed ? 0 : Math.max(0, row.resend_seconds),
      delivery: deliveryOf(row),
    }
  }

  return async function look(seat: Seat): Promise<ChallengeView> {
    const { rows } = await statement(seat).execute(db)
    const [row] = rows
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

function deliveryOf(row: Row): Delivery {
  if (row.send_failed) return 'failed'
  if (row.message === 'accepted') return 'accepted'
  if (row.message === 'unknown') return 'unconfirmed'
  return row.sent_seconds_ago < SENDING_AT_MOST_SECONDS ? 'sending' : 'unconfirmed'
}
