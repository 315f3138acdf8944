import { type CompiledQuery, type RawBuilder, sql } from 'kysely'
import { auditEntries, auditEntry } from '../audit/event.ts'
import { type Clock, unexpired } from '../db/clock.ts'
import { type PlaceOf, prepared, unwaiting } from '../db/prepared.ts'
import type { Db } from '../db/schema.ts'
import { namesBeside, storeBeside } from './apart.ts'
import { FEW, type Shape, shapeOf } from './batch.ts'
import { logoutsAsJson, queueLogouts } from './logouts.ts'
import { OUTLIVING_GRANTS } from './sealed-records.ts'
import { type Columns, columnsOf, type Sealed, upsert } from './upserts.ts'

/** `used`: something that may be used once had been. `changed`: something required was gone. */
export type Written = 'stored' | 'used' | 'changed'

/** What a statement tells. */
interface Answer {
  written: Written
}

/** What a statement is run with. */
interface Values extends Columns {
  consumed: readonly Buffer[]
  destroyed: readonly Buffer[]
  required: readonly Buffer[]
  revoked: readonly Buffer[]
  unchanged: readonly Buffer[]
  unchangedSealed: readonly Buffer[]
  /** whose records mustn't be ending meanwhile */
  beside: readonly string[]
  /** as JSON */
  events: string
  logouts: string
}

/**
 * The statements that store a whole request's writes: one for each shape, with the parts that there is something for.
 * The rows they depend on are locked and looked at in them, so that of parallel requests one wins and the others store
 * nothing. Hardly ever does somebody else hold one of them. So the first try waits for nobody, and may share its
 * connection; what it can't decide, another try decides that waits.
 */
export function createRecordWrites(clock: Clock) {
  const statements = new Map<string, ReturnType<typeof writeStatement>>()

  function statementFor(shape: Shape) {
    const name = Object.values(shape).join()
    const statement = statements.get(name) ?? writeStatement(clock, shape)
    statements.set(name, statement)
    return statement
  }

  return async (on: Db, { batch, rows, events }: Sealed): Promise<Written> => {
    const beside = namesBeside(rows)
    const shape = shapeOf(batch, beside)
    const values = {
      ...columnsOf(rows),
      consumed: batch.consumed,
      destroyed: batch.destroyed,
      required: batch.required,
      revoked: batch.revokedGrants,
      unchanged: batch.unchanged.map(({ key }) => key),
      unchangedSealed: batch.unchanged.map((one) => one.sealed),
      beside,
      events: JSON.stringify(events),
      logouts: logoutsAsJson(batch.logouts),
    }
    const answer = await statementFor(shape)(on, values)
    return answer.rows[0]?.written ?? 'changed'
  }
}

type Keys = 'consumed' | 'destroyed' | 'required' | 'revoked'

/** The statement for a shape; it tells what became of it. */
function writeStatement(clock: Clock, shape: Shape) {
  const now = clock()
  const guarded = shape.consumed + shape.required > 0 || shape.unchanged || shape.beside
  const stored = guarded ? sql`(select written from verdict) = 'stored'` : sql`true`

  // To whoever doesn't wait, what somebody is only about to change has changed.
  return shape.deletesUnheld
    ? prepared<Values, Answer>((place, on) => build(place, on, true))
    : unwaiting(build, (row) => row?.written !== 'changed')

  function build(place: PlaceOf<Values>, on: Db, waits: boolean): CompiledQuery<Answer> {
    const steps = [
      shape.beside && sql`beside as (${storeBeside(place('beside'), waits)})`,
      guarded && sql`held as (${held()}), verdict as (${verdict()})`,
      shape.consumed > 0 &&
        sql`used as (update oidc_record set consumed_at = ${now} where ${isOf('key', 'consumed')} and ${stored})`,
      shape.destroyed + shape.revoked > 0 && sql`gone as (${gone()})`,
      shape.upserts && sql`written as (${upsert(clock, place, stored)})`,
      shape.events && sql`recorded as (${auditEntries(clock, place('events'), stored)})`,
      shape.reused && sql`recorded_reuse as (${reuseEntry(clock)})`,
      shape.logouts && sql`queued as (${queueLogouts(clock, place('logouts'), stored)})`,
    ].filter((step) => step !== false)
    const written = guarded ? sql`written from verdict` : sql`'stored' as written`
    return sql<Answer>`with ${sql.join(steps)} select ${written}`.compile(on)

    /** Whether a column is one of some keys. */
    function isOf(column: 'key' | 'grant_key', ...names: Keys[]): RawBuilder<boolean> {
      const lists = names.filter((name) => shape[name] > 0)
      if (lists.length === 0) return sql`false`
      if (lists.some((name) => shape[name] > FEW)) {
        const all = sql.join(
          lists.map((name) => sql`${place(name)}::bytea[]`),
          sql` || `,
        )
        return sql`${sql.ref(column)} = any(${all})`
      }
      const each = lists.flatMap((name) =>
        Array.from(
          { length: shape[name] },
          (_, index) => sql`(${place(name)}::bytea[])[${sql.lit(index + 1)}]`,
        ),
      )
      return sql`${sql.ref(column)} in (${sql.join(each)})`
    }

    /** Known before any row is locked, and before anything is judged or stored. */
    function alone(): RawBuilder<boolean> {
      return sql`(select count(*) from beside) = cardinality(${place('beside')}::text[])`
    }

    function held(): RawBuilder<unknown> {
      return sql`
        select key, payload, consumed_at from oidc_record
        where ${isOf('key', 'consumed', 'required')} and ${unexpired(clock, 'expires_at')}
          ${shape.beside ? sql`and ${alone()}` : sql``}
        order by key for update ${waits ? sql`` : sql`nowait`}`
    }

    function verdict(): RawBuilder<unknown> {
      const changed = sql`
        when count(*) filter (where (key, payload) in (select * from unnest(${place('unchanged')}::bytea[],
          ${place('unchangedSealed')}::bytea[]))) < cardinality(${place('unchanged')}::bytea[]) then 'changed'`
      return sql`
        select case
          ${shape.beside ? sql`when not ${alone()} then 'changed'` : sql``}
          when count(*) filter (where ${isOf('key', 'consumed')} and consumed_at is null)
            < cardinality(${place('consumed')}::bytea[]) then 'used'
          when count(*) filter (where ${isOf('key', 'required')})
            < cardinality(${place('required')}::bytea[]) then 'changed'
          ${shape.unchanged ? changed : sql``}
          else 'stored' end as written
        from held`
    }

    function gone(): RawBuilder<unknown> {
      return sql`
        delete from oidc_record
        where (${isOf('key', 'destroyed')} and ${stored}) or ${isOf('key', 'revoked')}
          or (${isOf('grant_key', 'revoked')} and model <> all(${OUTLIVING_GRANTS}::text[]))
        returning key, model, account_id, client_id`
    }
  }
}

/** One event for each grant that is taken back, and none once it is gone. */
function reuseEntry(clock: Clock): RawBuilder<unknown> {
  const event = { accountId: sql`account_id`, clientId: sql`client_id` }
  return auditEntry(clock, { type: 'token.reused', ...event }, sql`from gone where model = 'Grant'`)
}
