import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import type { SendProblem } from '../db/tables/second-factor.ts'
import type { Channel, RecipientFault } from '../messaging/gateway.ts'
import { gatewaysTried, wasDelivered } from '../messaging/messages.ts'
import type { WatchedMessage } from '../messaging/watch-statements.ts'
import {
  askedSends,
  type ChallengeRules,
  faultOf,
  isAllowed,
  isLocked,
  isOpen,
} from './challenge-parts.ts'
import type { GrantVerdict, SendGrants } from './send-grants.ts'
import { resendWait } from './send-waits.ts'

export const HIGHEST_COUNTER = '9223372036854775807'

/** What a statement that may send tells: why it didn't, or what is to be sent. */
export interface SendVerdict extends GrantVerdict {
  locked: boolean
  country_allowed: boolean
  /** why texts don't reach the number, where one was to be sent */
  fault: RecipientFault | null
  /** set where an authenticator app is asked, and nothing is sent */
  authenticator_id: string | null
  phone_id: string
  number: Buffer
  country: string | null
  hotp_secret: Buffer | null
  /** the challenge; null if there is none because of a refusal */
  id: string | null
  counter: string
  /** the how-manieth send of the challenge */
  send: number
  seconds_left: number
  /** whether an admin asked for it, to whom it is read out */
  aloud: boolean
  /** gateways the code went by before and wasn't delivered, as far as is known */
  tried: string[]
}

/** Which challenge a send is for, and how it is to go. */
export interface SendOrder {
  /** null for the phone it was sent to */
  phoneId: string | null
  channel: Channel
  /** tag of the page that asks; null where nobody does, since the message before wasn't delivered */
  language: string | null
  addressKey: Buffer | null
}

export const secondsLeft = (clock: Clock, alias: string) =>
  sql`ceil(extract(epoch from ${sql.ref(`${alias}.expires_at`)} - ${clock()}))::int as seconds_left`

/** Whether a copy of the code reached the phone; to stand where the challenge isn't given another name. */
const DELIVERED = wasDelivered({
  challengeId: sql<string>`challenge.id`,
  phoneId: sql<string | null>`challenge.phone_id`,
})

/** How long a number that takes no texts is left alone; then whoever owns it may have changed that. */
const FAULT_SECONDS = 24 * 3600

/** The statements that send a challenge's code once more, and those that note what came of it. */
export function createSendStatements(clock: Clock, rules: ChallengeRules, grants: SendGrants) {
  return {
    /**
     * Counts a send of a challenge: to the phone it was sent to, with the same code, or to another of the account,
     * with a code of that one. No row: it isn't open, or there is no such phone.
     *
     * @param which `where` clause of the one challenge
     */
    send(which: RawBuilder<unknown>, { phoneId, channel, language, addressKey }: SendOrder) {
      const now = clock()
      const unasked = language === null
      const failed = sql`coalesce(held.send_failed_at >= held.last_sent_at, false)`
      const wait = resendWait(rules.resendSeconds, askedSends('held'))
      const waited = sql`held.last_sent_at + make_interval(secs => ${wait}) <= ${now}`
      return sql<
        SendVerdict & {
          due: boolean
          sends_left: number
          resend_seconds: number
          language: string | null
        }
      >`
        with held as (select * from challenge ${which} for update),
        device as (
          select held.account_id, held.id as challenge_id, held.sends, held.counter as held_counter, held.expires_at,
            p.id as phone_id, p.number, p.number_fingerprint, p.prefix_fingerprint, p.country, p.hotp_secret,
            held.phone_id is distinct from p.id as switched, ${isLocked(now)} as locked,
            ${isAllowed(rules)} as country_allowed, p.pending or not held.known_browser as stranger,
            p.pending as newcomer,
            case when ${channel === 'sms'} and held.phone_id is distinct from p.id or ${unasked} then ${faultOf(now)} end as fault,
            ${gatewaysTried({ challengeId: sql.ref('held.id'), phoneId: sql.ref('p.id'), channel: sql`${channel}::text` })} as tried, held.sends < ${rules.maxSends} and (${unasked} or ${waited} or ${failed}
              or (held.phone_id is distinct from p.id and (held.purpose <> 'sign-in' or ${askedSends('held')} <= 1))) as due,
            greatest(0, ceil(extract(epoch from held.last_sent_at - ${now}) + ${wait}))::int as resend_seconds
          from held join second_factor s on s.account_id = held.account_id
          join phone p on p.account_id = held.account_id and p.id = coalesce(${phoneId}::text, held.phone_id)
            and (held.purpose <> 'sign-in' or not p.pending)
          where ${isOpen('held', now)} and held.attempts < ${rules.maxAttempts}
        ),
        ready as (select * from device where due and not locked and country_allowed and fault is null),
        ${grants.ctes(addressKey, false)},
        moved as (
          update phone p set hotp_counter = p.hotp_counter + 1 from ready
          where p.id = ready.phone_id and ready.switched and p.hotp_counter < ${HIGHEST_COUNTER}
            and exists (select from granted)
          returning p.id, p.hotp_counter
        ),
        sent as (
          update challenge c set sends = c.sends + 1, authenticator_id = null, channel = ${channel},
            reroutes = c.reroutes + ${unasked ? 1 : 0}::int, language = coalesce(${language}, c.language),
            last_sent_at = case when ${unasked} then c.last_sent_at else ${now} end,
            send_problem = null, send_failed_at = null,
            phone_id = ready.phone_id, counter = coalesce(moved.hotp_counter, c.counter),
            expires_at = case when ready.switched then ${later(clock, rules.ttlSeconds)} else c.expires_at end
          from ready left join moved on moved.id = ready.phone_id
          where c.id = ready.challenge_id and exists (select from granted) and (moved.id is not null or not ready.switched)
          returning c.*
        ),
        audited as (${auditEntry(
          clock,
          {
            type: 'code.sent-again',
            accountId: sql`account_id`,
            detail: {
              challenge: sql`id`,
              factor: sql`channel`,
              send: sql`sends`,
              unasked: unasked ? true : null,
            },
          },
          sql`from sent`,
        )})
        select device.*, ${grants.verdict}, null as authenticator_id, sent.id, coalesce(sent.purpose = 'phone-check', false) as aloud, coalesce(sent.counter, device.held_counter) as counter,
          coalesce(sent.sends, 0) as send, sent.language, ${rules.maxSends} - device.sends as sends_left, ${secondsLeft(clock, 'sent')}
        from device left join sent on true`
    },

    /**
     * Notes that no gateway took a send, if it is still the last one, so that the page says so and another may
     * follow at once.
     */
    sendFailed(id: string, send: number, problem: SendProblem | null) {
      return sql`
        update challenge set send_failed_at = ${clock()}, send_problem = ${problem}
        where id = ${id} and sends = ${send}
        returning id`
    },

    /** The same for one that a gateway took and couldn't deliver, unless a copy of it was. */
    undeliverable({ challenge_id, phone_id, send }: WatchedMessage, problem: SendProblem | null) {
      return sql`
        update challenge set send_failed_at = ${clock()}, send_problem = ${problem}
        where id = ${challenge_id} and phone_id = ${phone_id} and sends = ${send} and not ${DELIVERED}
        returning id`
    },

    /** The challenge of an undelivered message, if that is still its last send and no copy of it was delivered. */
    stillWaiting({ challenge_id, phone_id, send }: WatchedMessage) {
      return sql`where id = ${challenge_id} and phone_id = ${phone_id} and sends = ${send} and not ${DELIVERED}`
    },

    /** Notes that texts don't reach a phone. */
    markPhone(phoneId: string, fault: RecipientFault) {
      return sql`
        with marked as (
          update phone p set fault = ${fault}, fault_until = ${later(clock, FAULT_SECONDS)}
          where p.id = ${phoneId}
          returning p.account_id, p.id
        )
        ${auditEntry(
          clock,
          {
            type: 'phone.unreachable',
            accountId: sql`account_id`,
            detail: { phone: sql`id`, fault },
          },
          sql`from marked`,
        )}`
    },
  }
}
