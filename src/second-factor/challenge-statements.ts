import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import { type PlaceOf, prepared } from '../db/prepared.ts'
import {
  type ChallengeRules,
  faultOf,
  isAllowed,
  isLocked,
  isOpen,
  newestOf,
  type Purpose,
  type Seat,
} from './challenge-parts.ts'
import type { SendGrants } from './send-grants.ts'
import { HIGHEST_COUNTER, type SendVerdict, secondsLeft } from './send-statements.ts'
import { SUSPICIOUS_STARTS } from './send-waits.ts'

interface IssueOrder extends Seat {
  id: string
  accountId: string
  addressKey: Buffer
  language: string
  /** whether a code of the account was right in this browser before */
  knownBrowser: boolean
  lifeSeconds: number
}

/** What asking came to; without a factor that could be asked, all that is told of one is null. */
export interface IssueVerdict extends SendVerdict {
  asked: boolean
  /** whether there are backup codes where there is nothing else */
  codes_only: boolean
  suspected: boolean
}

interface OpenOrder {
  purpose: Purpose
  knownBrowser: boolean
}

/** The statements of challenges. Each decides and records at once, so that parallel requests can't pass a limit. */
export function createChallengeStatements(clock: Clock, rules: ChallengeRules, grants: SendGrants) {
  return {
    /**
     * Asks for the account's authenticator app if it has one, else for a code sent to its primary phone: then
     * it counts the send and moves the phone's counter. `suspected`: its owner should be told that codes are asked
     * for again and again with the right password, and none is typed. Not `asked`: the account has neither, and
     * isn't locked.
     */
    issue: prepared((place: PlaceOf<IssueOrder>, on) => {
      const now = clock()
      const interaction = sql`${place('interaction')}::bytea`
      const knownBrowser = sql`${place('knownBrowser')}::bool`
      return sql<IssueVerdict>`
        with device as (
          select s.account_id, a.id as authenticator_id, p.id as phone_id, p.number, p.number_fingerprint,
            p.prefix_fingerprint, p.country, p.hotp_secret, ${isLocked(now)} as locked,
            ${faultOf(now)} as fault, a.id is not null or ${isAllowed(rules)} as country_allowed,
            not ${knownBrowser} as stranger, false as newcomer
          from second_factor s
          left join authenticator a on a.account_id = s.account_id and a.confirmed_at is not null
          left join phone p on p.account_id = s.account_id and p.is_primary and a.id is null
          where s.account_id = ${place('accountId')} and (a.id is not null or p.id is not null or ${isLocked(now)})
        ),
        ready as (
          select * from device where authenticator_id is null and not locked and country_allowed and fault is null
        ),
        ${grants.ctes(place('addressKey'), true)},
        app as (select * from device where authenticator_id is not null and not locked),
        app_started as (
          update second_factor s set starts_since_success = s.starts_since_success + 1 from app
          where s.account_id = app.account_id
          returning s.account_id, s.starts_since_success = ${SUSPICIOUS_STARTS} as suspicious
        ),
        suspected as (
          select account_id from app_started where suspicious
          union all select ready.account_id from ready, granted where granted.suspicious
        ),
        audited_suspicion as (${auditEntry(
          clock,
          { type: 'password.seems-known', accountId: sql`account_id` },
          sql`from suspected`,
        )}),
        replaced as (
          update challenge c set closed_at = ${now}
          where c.interaction = ${interaction} and ${isOpen('c', now)}
            and (exists (select from granted) or exists (select from app))
        ),
        moved as (
          update phone p set hotp_counter = p.hotp_counter + 1 from ready
          where p.id = ready.phone_id and p.hotp_counter < ${HIGHEST_COUNTER} and exists (select from granted)
          returning p.id, p.account_id, p.hotp_counter
        ),
        issued as (
          insert into challenge as c (id, interaction, browser, account_id, phone_id, counter, authenticator_id,
            sends, created_at, expires_at, last_sent_at, language, known_browser)
          select ${place('id')}, ${interaction}, ${place('browser')}::bytea, asked.*, ${now},
            ${now} + make_interval(secs => ${place('lifeSeconds')}), ${now}, ${place('language')}, ${knownBrowser}
          from (
            select account_id, id, hotp_counter, null, 1 from moved
            union all
            select account_id, null, null, authenticator_id, 0 from app
          ) as asked
          returning c.*
        ),
        audited as (${auditEntry(
          clock,
          {
            type: 'code.issued',
            accountId: sql`account_id`,
            detail: {
              challenge: sql`id`,
              factor: sql`case when authenticator_id is null then 'sms' else 'totp' end`,
            },
          },
          sql`from issued`,
        )})
        select device.*, device.account_id is not null as asked,
          device.account_id is null and exists (
            select from backup_code where account_id = ${place('accountId')} and used_at is null) as codes_only,
          ${grants.verdict}, exists (select from suspected) as suspected,
          issued.id, issued.counter, issued.sends as send, ${secondsLeft(clock, 'issued')},
          array[]::text[] as tried, false as aloud
        from (select) as one left join device on true left join issued on true`.compile(on)
    }),

    /** Writes a challenge that asks for nothing yet: which factor it is about is told later. */
    open(
      seat: Seat,
      id: string,
      accountId: string,
      { purpose, knownBrowser }: OpenOrder,
      lifeSeconds: number,
    ) {
      const now = clock()
      return sql<{ id: string }>`
        with replaced as (
          update challenge c set closed_at = ${now}
          where c.interaction = ${seat.interaction} and ${isOpen('c', now)}
        ),
        held as (
          insert into second_factor (account_id) values (${accountId})
          on conflict (account_id) do update set account_id = excluded.account_id
          returning *
        )
        insert into challenge (id, interaction, browser, account_id, purpose, known_browser, sends, created_at, expires_at, last_sent_at)
        select ${id}, ${seat.interaction}::bytea, ${seat.browser}::bytea, s.account_id, ${purpose}, ${knownBrowser}, 0, ${now},
          ${later(clock, lifeSeconds)}, ${now}
        from held s where not ${isLocked(now)}
        returning id`
    },

    /**
     * Has the newest challenge ask for the authenticator app: at a sign-in the account's, else the one that is
     * being added. That one is named by its id, which only the browser that began it knows of: no other may come
     * to see its secret. No row: there is no open challenge, or no such app.
     */
    askAuthenticator(seat: Seat, beingAdded: string | null) {
      const now = clock()
      return sql<{ id: string }>`
        with held as (select * from challenge ${newestOf(seat)} for update)
        update challenge c set authenticator_id = a.id, phone_id = null, counter = null
        from held join authenticator a on a.account_id = held.account_id
          and case when held.purpose = 'sign-in' then a.confirmed_at is not null
            else a.confirmed_at is null and a.id = ${beingAdded} end
        where c.id = held.id and ${isOpen('held', now)} and held.attempts < ${rules.maxAttempts}
        returning c.id`
    },

    /** Has an enrolment's challenge ask for nothing again, so that another factor can be chosen. */
    askNothing(seat: Seat) {
      const now = clock()
      return sql`
        with held as (select * from challenge ${newestOf(seat)} for update)
        update challenge c set authenticator_id = null, phone_id = null, counter = null
        from held where c.id = held.id and held.purpose <> 'sign-in' and ${isOpen('held', now)}`
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
