import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import { type Clock, later } from '../db/clock.ts'
import type { StoredPayload } from './sealed-records.ts'

/** That a person's session at an app has ended, for the app to be told. */
export interface Logout {
  clientId: string
  accountId: string
  /** the session as the app's ID tokens call it */
  sid: string | null
}

/** One to be told now. */
export interface DueLogout extends Logout {
  id: string
  /** this try included */
  tries: number
}

/** How long after each failed try the next one is due; past the last it is given up, after some eight hours. */
const WAITS_SECONDS = [5, 30, 120, 600, 1800, 7200, 18_000]
/** Longer than a try takes: so long nobody else makes one. */
const LEASE_SECONDS = 60

/** What a session that ends means to the apps it was used in. */
export function logoutsOf({ accountId, authorizations = {} }: StoredPayload): Logout[] {
  if (accountId === undefined) return []
  return Object.entries(authorizations).map(([clientId, { sid = null }]) => ({
    clientId,
    accountId,
    sid,
  }))
}

/**
 * A statement that queues what apps are to be told, for those that want to be told, to stand in the statement or
 * transaction that ends the session: so neither is there without the other.
 * @param logouts expression of what `logoutsAsJson` gives
 * @param condition under which it is done
 */
export function queueLogouts(
  clock: Clock,
  logouts: RawBuilder<unknown>,
  condition: RawBuilder<unknown> = sql`true`,
): RawBuilder<unknown> {
  return sql`
    insert into logout_delivery (client_id, account_id, sid, created_at, next_try_at)
    select c.id, e.account_id, e.sid, ${clock()}, ${clock()}
    from jsonb_to_recordset(${logouts}::jsonb) as e (client_id text, account_id text, sid text)
    join client c on c.id = e.client_id and c.metadata ->> 'backchannel_logout_uri' is not null
    where ${condition}`
}

export function logoutsAsJson(logouts: readonly Logout[]): string {
  return JSON.stringify(
    logouts.map(({ clientId, accountId, sid }) => ({
      client_id: clientId,
      account_id: accountId,
      sid,
    })),
  )
}

/** The table `logout_delivery`. A row is there until the app has been told, or it was given up. */
export function createLogoutStatements(clock: Clock) {
  const done = ({ id, tries }: DueLogout) => sql`
    delete from logout_delivery where id = ${id} and tries = ${tries} returning client_id, account_id`

  return {
    /** Takes what is due. No two instances tell the same at a time, and one that ends amid it leaves it to the next. */
    take: (batch: number) => sql<DueLogout>`
      update logout_delivery set tries = tries + 1, next_try_at = ${later(clock, LEASE_SECONDS)}
      where id in (
        select id from logout_delivery where next_try_at <= ${clock()}
        order by next_try_at limit ${batch} for update skip locked)
      returning id, client_id as "clientId", account_id as "accountId", sid, tries`,

    told: (logout: DueLogout) => sql`
      with done as (${done(logout)})
      ${auditEntry(clock, { type: 'logout.sent', ...OF_DONE }, sql`from done`)}`,

    /** The app is gone, or wants to hear of it no more. */
    dropped: (logout: DueLogout) => done(logout),

    /** Notes when to try again; the last time it gives up, records that, and tells so by a row. */
    failed(logout: DueLogout, problem: string): RawBuilder<unknown> {
      const wait = WAITS_SECONDS[logout.tries - 1]
      if (wait === undefined) {
        const detail = { problem, tries: logout.tries }
        return sql`
          with done as (${done(logout)})
          ${auditEntry(clock, { type: 'logout.failed', ...OF_DONE, detail }, sql`from done`)}`
      }
      return sql`
        update logout_delivery set next_try_at = ${later(clock, wait)}
        where id = ${logout.id} and tries = ${logout.tries}`
    },
  }
}

const OF_DONE = { accountId: sql`account_id`, clientId: sql`client_id` }
