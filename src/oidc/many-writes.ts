import { type CompiledQuery, type RawBuilder, sql } from 'kysely'
import { auditEntries } from '../audit/event.ts'
import { type Clock, unexpired } from '../db/clock.ts'
import { fewOf, gatheredWrites, type Owned } from '../db/gathered-writes.ts'
import { type PlaceOf, prepared } from '../db/prepared.ts'
import type { Db } from '../db/schema.ts'
import { namesBeside, tryBeside } from './apart.ts'
import type { Written } from './record-writes.ts'
import { type Columns, columnsOf, type Sealed, upsert } from './upserts.ts'

/** What the statement is run with. Every list has one beside it of whose each of it is: the number of its request. */
interface Values extends Columns {
  beside: readonly string[]
  besideOf: readonly number[]
  held: readonly Buffer[]
  heldOf: readonly number[]
  /** of what is held, what is used up and what is deleted */
  uses: readonly boolean[]
  ends: readonly boolean[]
  /** as JSON */
  events: string
}

/**
 * Stores what several requests write at the same time by one statement. Each of them is decided for itself, by rows that
 * are locked first, as if it stood alone. Whoever has all of its rows, unused, is stored; about anybody else the
 * statement decides nothing.
 *
 * @param alone stores what one request writes
 * @returns the same, for what is plain
 */
export function createManyWrites(
  db: Db,
  clock: Clock,
  alone: (writing: Sealed) => Promise<Written>,
): (writing: Sealed) => Promise<Written> {
  const store = prepared<Values, { owner: number }>((place, on) => statement(clock, place, on))

  return gatheredWrites<Sealed, Written>({
    named: 'insert into oidc_record',
    keysOf: ({ batch, rows }) => [
      ...rows.map(({ key }) => key),
      ...batch.consumed,
      ...batch.required,
    ],
    alone,
    async together(all) {
      const { rows } = await store(db, valuesOf(all))
      return new Map(rows.map(({ owner }) => [owner, 'stored']))
    },
  })
}

const isIn = (key: Buffer, keys: readonly Buffer[]) => keys.some((one) => one.equals(key))

function valuesOf(all: ReadonlyArray<Owned<Sealed>>): Values {
  const rows = all.flatMap(({ owner, value }) => value.rows.map((row) => ({ row, owner })))
  const beside = all.flatMap(({ owner, value }) =>
    namesBeside(value.rows).map((name) => ({ name, owner })),
  )
  const held = all.flatMap(({ owner, value: { batch } }) => {
    const { consumed, required, destroyed } = batch
    const keys = [...consumed, ...required.filter((key) => !isIn(key, consumed))]
    return keys.map((key) => ({
      key,
      owner,
      uses: isIn(key, consumed),
      ends: isIn(key, destroyed),
    }))
  })
  const events = all.flatMap(({ owner, value }) => value.events.map((one) => ({ ...one, owner })))
  return {
    ...columnsOf(
      rows.map(({ row }) => row),
      rows.map(({ owner }) => owner),
    ),
    beside: beside.map(({ name }) => name),
    besideOf: beside.map(({ owner }) => owner),
    held: held.map(({ key }) => key),
    heldOf: held.map(({ owner }) => owner),
    uses: held.map(({ uses }) => uses),
    ends: held.map(({ ends }) => ends),
    events: JSON.stringify(events),
  }
}

/** Tells whose writes it has stored. It waits for nobody: what somebody else holds isn't there for it. */
function statement(clock: Clock, place: PlaceOf<Values>, on: Db): CompiledQuery<{ owner: number }> {
  const now = clock()
  const those = (which: RawBuilder<unknown>) =>
    fewOf(
      sql`select a.key from asked as a join stored using (owner) where ${which}`,
      sql`cardinality(${place('held')}::bytea[])`,
    )
  const mine = sql`e.owner in (select owner from stored)`
  return sql<{ owner: number }>`
    with refused as (${tryBeside(place('beside'), place('besideOf'))}),
    asked as (
      select key, owner, uses, ends from unnest(${place('held')}::bytea[], ${place('heldOf')}::int[],
        ${place('uses')}::bool[], ${place('ends')}::bool[]) as a (key, owner, uses, ends)),
    stored as materialized (
      select a.owner from asked as a left join lateral (
        select key, consumed_at from oidc_record
        where key = a.key and ${unexpired(clock, 'expires_at')} for update skip locked) as r on true
      where a.owner <> all (array(select owner from refused))
      group by a.owner having bool_and(r.key is not null and not (a.uses and r.consumed_at is not null))),
    used as (
      update oidc_record as r set consumed_at = ${now} from ${those(sql`a.uses`)} as those where r.key = those.key),
    gone as (delete from oidc_record as r using ${those(sql`a.ends`)} as those where r.key = those.key),
    written as (${upsert(clock, place, mine)}),
    recorded as (${auditEntries(clock, place('events'), mine)})
    select owner from stored`.compile(on)
}
