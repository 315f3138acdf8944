import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../../src/db/schema.ts'

const TABLES = ['challenge', 'message', 'audit_event']

/**
 * Challenges of the 30 days before today, each passed, with its message and two events of the audit trail, spread
 * over all phones. Nobody else may use the database meanwhile: its indexes come after the rows.
 */
export async function addPast(db: Db, challenges: number): Promise<void> {
  const run = (statement: RawBuilder<unknown>) => statement.execute(db)
  await run(sql`set maintenance_work_mem = '1GB'`)
  await run(sql`set work_mem = '64MB'`)
  // No looking up of a million accounts ten times each: they are there.
  await run(sql`set session_replication_role = replica`)
  await run(sql`truncate challenge`)
  const restore = await dropIndexes(db)
  await run(sql`
    create temporary table owner as
    select row_number() over () - 1 as number, id, account_id from phone`)
  await run(sql`create unique index on owner (number)`)
  await run(sql`analyze owner`)
  const past = sql`(
    select series.number, substr(md5('challenge' || series.number), 1, 22) as challenge, phones, owner.id as phone, account_id,
      now() - interval '2 hours' - interval '30 days' * (1 - series.number::float8 / ${challenges}::int) as at
    from (select generate_series(0, ${challenges - 1}::int) as number, (select count(*) from owner) as phones) as series
      join owner on owner.number = series.number % phones) as past`
  await run(sql`
    insert into challenge (id, interaction, browser, account_id, phone_id, counter, created_at, expires_at, attempts,
      last_sent_at, passed_at, passed_with)
    select challenge, sha256(challenge::bytea), sha256(reverse(challenge)::bytea), account_id, phone,
      1 + number / phones, at, at + interval '5 minutes', 1, at, at + interval '20 seconds', 'sms'
    from ${past}`)
  await run(sql`
    insert into message (id, challenge_id, phone_id, send, channel, gateway, country, parts, state, provider_id,
      created_at, updated_at)
    select substr(md5('message' || number), 1, 22), challenge, phone, 1, 'sms', 'textbee', 'SE', 1, 'sent',
      substr(md5('provider' || number), 1, 22), at, at + interval '1 second'
    from ${past}`)
  await run(sql`
    insert into audit_event (at, type, actor, account_id, detail)
    select at + lateness * interval '1 second', type, 'self', account_id, jsonb_build_object('challenge', challenge)
    from ${past} cross join (values ('code.issued', 0), ('code.tried', 20)) as event (type, lateness)`)
  await run(sql`
    update phone set hotp_counter = challenges
    from (select phone_id, max(counter) as challenges from challenge group by 1) as asked where phone_id = id`)
  for (const statement of restore) await run(sql.raw(statement))
  await run(sql`drop table owner`)
  await run(sql`set session_replication_role = default`)
  // What is past is counted already.
  await run(sql`update roll_up set seen_until = now()`)
  for (const table of [...TABLES, 'phone']) await run(sql`vacuum analyze ${sql.ref(table)}`)
}

/** @returns the statements that bring them back */
async function dropIndexes(db: Db): Promise<string[]> {
  const { rows: constraints } = await sql<{ owner: string; name: string; definition: string }>`
    select conrelid::regclass::text as owner, conname as name, pg_get_constraintdef(oid) as definition
    from pg_constraint where contype in ('p', 'u') and conrelid = any(${TABLES}::regclass[])`.execute(
    db,
  )
  for (const { owner, name } of constraints)
    await sql`alter table ${sql.ref(owner)} drop constraint ${sql.ref(name)}`.execute(db)
  const { rows: indexes } = await sql<{ name: string; definition: string }>`
    select indexname as name, indexdef as definition from pg_indexes where tablename = any(${TABLES})`.execute(
    db,
  )
  for (const { name } of indexes) await sql`drop index ${sql.ref(name)}`.execute(db)
  return [
    ...constraints.map(
      ({ owner, name, definition }) => `alter table ${owner} add constraint ${name} ${definition}`,
    ),
    ...indexes.map(({ definition }) => definition),
  ]
}
