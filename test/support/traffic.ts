import { sql } from 'kysely'
import type { House } from './house.ts'

/**
 * Believable messages and their right codes within the last minutes, counted into the figures.
 * @param minutes over which they are spread
 */
export async function addTraffic(house: House, messages: number, minutes: number): Promise<void> {
  const { db, clock, rooms } = house
  await sql`
    insert into message (id, challenge_id, phone_id, channel, gateway, country, parts, state, failure, code, created_at, updated_at)
    select 'm' || i, case when i % 17 > 0 then 'c' || i end, 'p' || i % 900,
      case when i % 33 = 0 then 'voice' else 'sms' end,
      (array['twilio', 'gatewayapi', 'gatewayapi', 'telnyx'])[1 + i * 7 % 4],
      (array['DK', 'DK', 'DK', 'SE', 'SE', 'NO', 'DE', 'GB', 'PL'])[1 + i * 13 % 9],
      1 + (i % 9 = 0)::int, state, case when state in ('refused', 'failed')
        then (array['recipient', 'transient', 'quota', 'content'])[1 + i % 4] end,
      case when state in ('refused', 'failed') then '30007' end, at, at
    from (
      select i, ${clock()} - make_interval(secs => ${minutes * 60}::int * (i - 0.5) / ${messages}::int) as at,
        (array['delivered', 'delivered', 'delivered', 'delivered', 'delivered', 'delivered', 'delivered', 'sent', 'failed',
          'refused', 'delivered', 'expired', 'delivered', 'unconfirmed'])[1 + i * 5 % 14] as state
      from generate_series(1, ${messages}::int) i
    ) made`.execute(db)
  await sql`
    insert into audit_event (at, type, actor, detail)
    select created_at + make_interval(secs => 6 + n % 14), type, 'self', case type
      when 'code.right' then jsonb_build_object('challenge', challenge_id, 'factor', 'sms') else '{}' end
    from (select *, right(id, -1)::int as n from message where state in ('delivered', 'sent') and challenge_id <> '') sent,
      unnest(array['code.right', 'session.started', 'code.wrong', 'password.wrong']) as type
    where n % 9 > 0 and (type in ('code.right', 'session.started') or n % 5 = 0)`.execute(db)
  await sql`update roll_up set seen_until = ${clock()} - make_interval(mins => ${minutes + 10})`.execute(
    db,
  )
  await rooms.statistics.rollUp()
}

/** Pauses a country, as texts to strangers do that nobody answers. @returns how many there were */
export async function pauseCountry(house: House, country: string): Promise<number> {
  const { db, clock } = house
  const slot = sql`floor(extract(epoch from ${clock()}) / 300)::bigint`
  const sends = 500
  const zeros = sql`array_fill(0, array[12])`
  await sql`
    insert into send_traffic (country, slot, sends, passes)
    values (${country}, ${slot}, ${sends}, 3)`.execute(db)
  await sql`
    insert into send_limit (key, slot, slots)
    select '\\x06'::bytea || convert_to(${country}, 'UTF8'), ${slot}, array[${sends}::int] || ${zeros}`.execute(
    db,
  )
  return sends
}

/** As if so many texts had been sent within the hour. */
export async function useBudget(house: House, sends: number): Promise<void> {
  const { db, clock } = house
  const slot = sql`floor(extract(epoch from ${clock()}) / 300)::bigint`
  await sql`
    insert into send_limit (key, slot, slots)
    values ('\\x03', ${slot}, array[${sends}::int] || array_fill(0, array[12]))`.execute(db)
}
