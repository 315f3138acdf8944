import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../../src/db/schema.ts'

export interface Size {
  messages: number
  /** over how many days they are spread */
  days: number
}

/** When the bench looks at it: a moment in the middle of its five minutes, at the day's busiest hour. */
export const NOW = '2030-01-31 18:02:30+00'

/** Of these, each with its share in the cumulated whole. */
const GATEWAYS = [
  ['twilio', 0.5],
  ['gatewayapi', 0.8],
  ['telnyx', 0.95],
  ['vonage', 1],
] as const
const STATES = [
  ['delivered', 0.9],
  ['sent', 0.95],
  ['failed', 0.97],
  ['refused', 0.985],
  ['expired', 0.995],
  ['unknown', 1],
] as const
/** The first one is the busiest; each further one gets less. */
const COUNTRIES =
  'DE,FR,GB,IT,ES,PL,NL,SE,DK,NO,FI,BE,AT,CH,PT,IE,CZ,GR,HU,RO,US,CA,BR,MX,AR,CL,CO,PE,IN,ID,JP,KR,AU,NZ,ZA,NG,KE,EG,MA,TR'.split(
    ',',
  )

const SHARED_PHONES = 1_000_000

/**
 * Messages of a service that is used by day more than by night, in an empty database: one in twelve is a second one for
 * its challenge. The audit trail has the right codes of all of them, and of the last day everything that a sign-in
 * leaves there. Written without a log and without indexes, which come after it.
 */
export async function fill(db: Db, { messages, days }: Size): Promise<void> {
  const run = (statement: RawBuilder<unknown>) => statement.execute(db)
  await run(sql`set maintenance_work_mem = '1GB'`)
  await run(sql`set work_mem = '64MB'`)
  await run(sql`select setseed(0.5)`)
  for (const table of ['message', 'audit_event']) {
    await run(sql`alter table ${sql.ref(table)} set unlogged`)
    await run(sql`alter table ${sql.ref(table)} set (autovacuum_enabled = off)`)
  }
  const { rows: indexes } = await sql<{ name: string; definition: string }>`
    select indexname as name, indexdef as definition from pg_indexes
    where tablename in ('message', 'audit_event') and indexname not like '%_pkey'`.execute(db)
  for (const { name } of indexes) await run(sql`drop index ${sql.ref(name)}`)
  await fillMessages(db, messages, days)
  await fillEvents(db)
  for (const { definition } of indexes) await run(sql.raw(definition))
  await run(sql`vacuum analyze message`)
  await run(sql`vacuum analyze audit_event`)
}

async function fillMessages(db: Db, messages: number, days: number): Promise<void> {
  const chosen = (shares: ReadonlyArray<readonly [string, number]>, roll: RawBuilder<unknown>) =>
    sql`case ${sql.join(
      shares.map(([name, share]) => sql`when ${roll} < ${share}::float8 then ${name}`),
      sql` `,
    )} end`
  await sql`
    insert into message (id, challenge_id, phone_id, send, channel, gateway, country, parts, state, provider_id, failure,
      created_at, updated_at)
    select substr(md5(i::text), 1, 22), substr(md5('c' || code), 1, 22), substr(md5('p' || phone), 1, 22),
      1 + (i <> code)::int, case when channel_roll < 0.03 then 'voice' else 'sms' end,
      ${chosen(GATEWAYS, sql`gateway_roll`)},
      (${COUNTRIES}::text[])[1 + floor(${COUNTRIES.length}::int * power(country_roll, 3))::int],
      case when parts_roll < 0.1 then 2 else 1 end, state, substr(md5('m' || i), 1, 22),
      case when state = 'refused' then 'transient' when state in ('failed', 'expired') then 'recipient' end, at, at
    from (
      select i, code, channel_roll, gateway_roll, parts_roll,
        -- of the code's own, so that its messages go to one phone
        (hashint8(code) & 1048575) % ${SHARED_PHONES}::int as phone,
        (hashint8(code + 7) & 1048575) / 1048576.0::float8 as country_roll,
        ${chosen(STATES, sql`state_roll`)} as state,
        ${NOW}::timestamptz - make_interval(secs => ${days}::float8 * 86400 * (1 - ago)
          + 5000 * sin(2 * pi() * ago * ${days}::float8)) + make_interval(secs => (i <> code)::int * 30) as at
      from (
        select i, i - (i % 12 = 0)::int as code, (i - (i % 12 = 0)::int)::float8 / ${messages}::int as ago,
          random() as channel_roll, random() as gateway_roll, random() as parts_roll, random() as state_roll
        from generate_series(1, ${messages}::int) as i
      ) as rolled
    ) as made
    where at <= ${NOW}::timestamptz`.execute(db)
}

async function fillEvents(db: Db): Promise<void> {
  const members = ['id', 'gateway', 'channel', 'country', 'parts'].map((name) => sql.ref(name))
  const told = sql`jsonb_build_object('message', ${members[0]}, 'gateway', gateway, 'channel', channel, 'country', country, 'parts', parts, 'failure', failure)`
  // One in twelve codes isn't typed; half of the others within 14 seconds.
  await sql`
    insert into audit_event (at, type, actor, account_id, detail)
    select at, type, 'self', phone_id, detail from (
      select least(created_at - 20 * ln(random()) * interval '1 second', ${NOW}::timestamptz) as at, 'code.right' as type,
        phone_id, jsonb_build_object('challenge', challenge_id, 'factor', channel) as detail
      from message where send = 1 and random() < 0.92
    ) as typed order by at`.execute(db)
  const recent = sql`created_at > ${NOW}::timestamptz - interval '1 day'`
  await sql`
    insert into audit_event (at, type, actor, account_id, detail)
    select created_at + lateness * interval '1 second', type, 'self', phone_id, jsonb_strip_nulls(event.detail)
    from message cross join lateral (values
      ('password.right', 0, '{}'::jsonb),
      ('code.issued', 0, jsonb_build_object('challenge', challenge_id, 'factor', channel)),
      (case when state = 'refused' then 'message.failed' when state = 'unknown' then 'message.unconfirmed' else 'message.sent' end, 1, ${told}),
      (case when state = 'delivered' then 'message.delivered' when state in ('failed', 'expired') then 'message.undelivered' end, 6,
        jsonb_build_object('message', id, 'gateway', gateway, 'state', state)),
      ('code.tried', 20, jsonb_build_object('challenge', challenge_id)),
      ('session.started', 20, jsonb_build_object('acr', 'mfa')),
      ('token.issued', 21, jsonb_build_object('grant', 'authorization_code'))
    ) as event (type, lateness, detail)
    where ${recent} and type is not null and created_at + lateness * interval '1 second' <= ${NOW}::timestamptz
      and (send = 1 or type like 'message.%')`.execute(db)
}
