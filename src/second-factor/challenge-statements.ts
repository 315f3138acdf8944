import { type RawBuilder, sql } from 'kysely'
import { type Clock, later } from '../db/clock.ts'
import type { MessageState } from '../db/tables/messaging.ts'
import { latestMessageState } from '../messaging/messages.ts'
import {
  type ChallengeRules,
  isLocked,
  isOpen,
  newestOf,
  type PhoneRow,
  type Seat,
} from './challenge-parts.ts'
import { countSend, LIMIT_PREFIX } from './send-limits.ts'

const HIGHEST_COUNTER = '9223372036854775807'

/** What a statement that may send tells: which limits let it pass, and the challenge if they all did. */
export interface SendVerdict extends PhoneRow {
  locked: boolean
  country_allowed: boolean
  phone_granted: boolean
  address_granted: boolean
  overall_granted: boolean
  id: string | null
  counter: string
  /** the how-manieth send of the challenge */
  send: number
  seconds_left: number
}

/** The statements of challenges. Each decides and records at once, so that parallel requests can't pass a limit. */
export function createChallengeStatements(clock: Clock, rules: ChallengeRules) {
  const { sms } = rules
  const countryAllowed =
    sms.allowedCountries === '*'
      ? sql`p.country is not null`
      : sql`coalesce(p.country = any(${[...sms.allowedCountries]}), false)`

  /** `ready` must hold the phone's fingerprint; `overall` has a row only if every limit granted the send. */
  const grants = (addressKey: Buffer) => sql`
    by_phone as (${countSend(clock, sql`${prefix(LIMIT_PREFIX.phone)} || ready.number_fingerprint`, sms.limits.phoneHour, sql`from ready`)}),
    by_address as (${countSend(clock, sql`${Buffer.concat([prefixByte(LIMIT_PREFIX.address), addressKey])}::bytea`, sms.limits.addressHour, sql`where exists (select from by_phone)`)}),
    overall as (${countSend(clock, prefix(LIMIT_PREFIX.overall), sms.limits.globalHour, sql`where exists (select from by_address)`)})`

  const verdict = sql`
    device.locked, device.country_allowed, device.phone_id, device.number, device.country, device.hotp_secret,
    exists (select from by_phone) as phone_granted, exists (select from by_address) as address_granted,
    exists (select from overall) as overall_granted`

  const secondsLeft = (alias: string) =>
    sql`ceil(extract(epoch from ${sql.ref(`${alias}.expires_at`)} - ${clock()}))::int as seconds_left`

  return {
    /** Counts the send, moves the phone's counter and writes the challenge. No row: the account has no phone. */
    issue(seat: Seat, id: string, accountId: string, addressKey: Buffer, lifeSeconds: number) {
      const now = clock()
      return sql<SendVerdict>`
        with device as (
          select p.id as phone_id, p.number, p.number_fingerprint, p.country, p.hotp_secret,
            ${isLocked(now)} as locked, ${countryAllowed} as country_allowed
          from phone p join second_factor s using (account_id)
          where p.account_id = ${accountId} and p.is_primary
        ),
        ready as (select * from device where not locked and country_allowed),
        ${grants(addressKey)},
        replaced as (
          update challenge c set closed_at = ${now}
          where c.interaction = ${seat.interaction} and ${isOpen('c', now)} and exists (select from overall)
        ),
        moved as (
          update phone p set hotp_counter = p.hotp_counter + 1 from ready
          where p.id = ready.phone_id and p.hotp_counter < ${HIGHEST_COUNTER} and exists (select from overall)
          returning p.id, p.hotp_counter
        ),
        issued as (
          insert into challenge as c (id, interaction, browser, account_id, phone_id, counter,
            created_at, expires_at, last_sent_at)
          select ${id}, ${seat.interaction}, ${seat.browser}, ${accountId}, moved.id, moved.hotp_counter,
            ${now}, ${later(clock, lifeSeconds)}, ${now} from moved
          returning c.*
        )
        select ${verdict}, issued.id, issued.counter, 1 as send, ${secondsLeft('issued')}
        from device left join issued on true`
    },

    /** Counts another send of the newest challenge. No row: there is no open one. */
    sendAgain(seat: Seat, addressKey: Buffer) {
      const now = clock()
      const failed = sql`coalesce(held.send_failed_at >= held.last_sent_at, false)`
      const waited = sql`held.last_sent_at + make_interval(secs => ${rules.resendSeconds}) <= ${now}`
      return sql<SendVerdict & { due: boolean; sends_left: number; wait_seconds: number }>`
        with held as (select * from challenge ${newestOf(seat)} for update),
        device as (
          select held.id as challenge_id, held.sends, held.last_sent_at, held.counter, held.expires_at,
            p.id as phone_id, p.number, p.number_fingerprint, p.country, p.hotp_secret,
            ${isLocked(now)} as locked, ${countryAllowed} as country_allowed,
            held.attempts < ${rules.maxAttempts} and held.sends < ${rules.maxSends} and (${waited} or ${failed}) as due
          from held join phone p on p.id = held.phone_id join second_factor s on s.account_id = held.account_id
          where ${isOpen('held', now)} and held.attempts < ${rules.maxAttempts}
        ),
        ready as (select * from device where due and not locked and country_allowed),
        ${grants(addressKey)},
        sent as (
          update challenge c set sends = c.sends + 1, last_sent_at = ${now} from ready
          where c.id = ready.challenge_id and exists (select from overall)
          returning c.id, c.sends
        )
        select ${verdict}, device.due, sent.id, coalesce(sent.sends, 0) as send, device.counter, ${secondsLeft('device')},
          ${rules.maxSends} - device.sends as sends_left,
          greatest(0, ceil(extract(epoch from device.last_sent_at - ${now}) + ${rules.resendSeconds}))::int as wait_seconds
        from device left join sent on true`
    },

    /** Notes that no gateway took a send, if it is still the last one, so that the page says so and another may follow at once. */
    sendFailed(id: string, send: number) {
      return sql`update challenge set send_failed_at = ${clock()} where id = ${id} and sends = ${send}`
    },

    /** What the pages show of the newest challenge. */
    look(seat: Seat) {
      const now = clock()
      return sql<{
        phone_id: string
        number: Buffer
        locked: boolean
        disabled: boolean
        lock_seconds: number | null
        attempts: number
        sends: number
        passed: boolean
        closed: boolean
        seconds_left: number
        resend_seconds: number
        sent_seconds_ago: number
        send_failed: boolean
        message: MessageState | null
      }>`
        with held as (select * from challenge ${newestOf(seat)})
        select held.phone_id, p.number, ${isLocked(now)} as locked, s.disabled_at is not null as disabled, held.attempts, held.sends,
          held.passed_at is not null as passed, held.closed_at is not null as closed,
          ceil(extract(epoch from s.locked_until - ${now}))::int as lock_seconds,
          ${secondsLeft('held')},
          ceil(extract(epoch from held.last_sent_at - ${now}) + ${rules.resendSeconds})::int as resend_seconds,
          floor(extract(epoch from ${now} - held.last_sent_at))::int as sent_seconds_ago,
          coalesce(held.send_failed_at >= held.last_sent_at, false) as send_failed,
          ${latestMessageState(sql.ref('held.id'))} as message
        from held join phone p on p.id = held.phone_id join second_factor s on s.account_id = held.account_id`
    },

    close(seat: Seat) {
      const now = clock()
      return sql`
        update challenge c set closed_at = ${now}
        where c.interaction = ${seat.interaction} and c.browser = ${seat.browser}
          and c.closed_at is null`
    },

    /** Challenges are kept for an hour after they end, so that a late visitor hears what became of them. */
    sweep(batch: number) {
      return sql`
        delete from challenge where id in (
          select id from challenge where expires_at < ${later(clock, -3600)}
          order by expires_at limit ${batch} for update skip locked)`
    },
  }
}

function prefixByte(value: number): Buffer {
  return Buffer.from([value])
}

function prefix(value: number): RawBuilder<Buffer> {
  return sql<Buffer>`${prefixByte(value)}::bytea`
}
