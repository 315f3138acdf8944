import { type RawBuilder, sql } from 'kysely'
import { type Vault, VaultError } from '../crypto/vault.ts'
import { retrying } from './faults.ts'
import type { Db } from './schema.ts'
import type { SealedTable } from './sealed-table.ts'

export type Resealing = ReturnType<typeof createResealing>

/** What one page of a table came to. */
export interface ResealedPage {
  /** values that were sealed with another key than the first */
  found: number
  /** those of them that are sealed with the first one now */
  resealed: number
  /** those of them that no key opens */
  lost: number
}

/** How many values of a column a key has sealed. */
export interface KeyUse {
  column: string
  /** public name of the key */
  key: string
  values: number
}

/** The primary key of the last row that was looked at; undefined before the first. */
type After = readonly unknown[] | undefined
type Row = Readonly<Record<string, unknown>>

const COUNTED_AT_ONCE = 5000

/**
 * Walks tables with sealed values along their primary keys, some rows at a time, on behalf of the rooms that declare
 * them. What there is to do stands in the values themselves, which tell their keys: so any number of walks can be
 * made at once, broken off, and begun again.
 */
export function createResealing({ db, vault }: { db: Db; vault: Vault }) {
  const [current = ''] = vault.keyNames
  const currentId = Buffer.from(current, 'hex')

  /** The rows behind one, and the last of them. */
  function page(
    { table, key }: SealedTable,
    after: After,
    wanted: readonly string[],
    limit: number,
  ) {
    const keys = key.map(([column]) => sql.ref(column))
    const behind = after
      ? sql`where (${sql.join(keys)}) > (${sql.join(
          key.map(([, type], index) => sql`${after[index]}::${sql.id(type)}`),
        )})`
      : sql``
    const columns = [
      ...keys.map((column, index) => sql`${column} as ${sql.id(`key_${index}`)}`),
      ...wanted.map((column, index) => sql`${sql.ref(column)} as ${sql.id(`value_${index}`)}`),
    ]
    const lastKeys = key.map((_, index) => sql.ref(`page.key_${index}`))
    const last = lastKeys.map((column, index) => sql`${column} as ${sql.id(`last_${index}`)}`)
    return sql`
      page as materialized (
        select ${sql.join(columns)} from ${sql.table(table)} ${behind}
        order by ${sql.join(keys)} limit ${limit}
      ),
      last as (
        select ${sql.join(last)}, (select count(*) from page) < ${limit} as ended from page
        order by ${sql.join(lastKeys.map((column) => sql`${column} desc`))} limit 1
      )`
  }

  /** Walks one table, a page at a time. */
  async function* pagesOf(
    table: SealedTable,
    statement: (after: After) => RawBuilder<Row>,
  ): AsyncGenerator<readonly Row[]> {
    let after: After
    for (;;) {
      const { rows } = await retrying(() => statement(after).execute(db))
      const [first] = rows
      if (!first) return
      yield rows
      if (first.ended === true) return
      after = table.key.map((_, index) => first[`last_${index}`])
    }
  }

  const isStale = (value: RawBuilder<unknown>) =>
    sql`substring(${value} from 2 for 4) <> ${currentId}`

  function stalePage(table: SealedTable, after: After): RawBuilder<Row> {
    const stale = sql.join(
      table.columns.map((_, index) => isStale(sql.ref(`value_${index}`))),
      sql` or `,
    )
    return sql<Row>`
      with ${page(table, after, table.columns, table.rowsAtOnce)}
      select * from last left join (select * from page where ${stale}) as stale on true`
  }

  /** Seals values of one column anew, of those rows that still hold what was read and that nobody is changing. */
  async function replace(
    { table, key }: SealedTable,
    column: string,
    values: ReadonlyArray<{ key: readonly unknown[]; was: Buffer; becomes: Buffer }>,
  ): Promise<number> {
    const names = key.map((_, index) => sql.id(`key_${index}`))
    const arrays = key.map(
      ([, type], index) => sql`${values.map((value) => value.key[index])}::${sql.id(type)}[]`,
    )
    const sameRow = sql.join(
      key.map(([name], index) => sql`t.${sql.id(name)} = ${sql.ref(`fresh.key_${index}`)}`),
      sql` and `,
    )
    const keys = sql.join(key.map(([name]) => sql`t.${sql.id(name)}`))
    const value = sql`t.${sql.id(column)}`
    // It waits for no row, so it can be part of no deadlock, and holds none for longer than this.
    const { numAffectedRows } = await retrying(() =>
      sql`
        with fresh as materialized (
          select * from unnest(${sql.join(arrays)}, ${values.map(({ was }) => was)}::bytea[],
            ${values.map(({ becomes }) => becomes)}::bytea[]) as f (${sql.join(names)}, was, becomes)
        ),
        free as materialized (
          select ${keys} from ${sql.table(table)} as t join fresh on ${sameRow} and ${value} = fresh.was
          for no key update of t skip locked
        )
        update ${sql.table(table)} as t set ${sql.id(column)} = fresh.becomes from fresh
        where ${sameRow} and ${value} = fresh.was and (${keys}) in (select * from free)`.execute(
        db,
      ),
    )
    return Number(numAffectedRows ?? 0)
  }

  async function resealColumn(
    table: SealedTable,
    column: string,
    index: number,
    rows: readonly Row[],
  ): Promise<ResealedPage> {
    const values = []
    let lost = 0
    for (const row of rows) {
      const was = row[`value_${index}`]
      if (!Buffer.isBuffer(was) || vault.keyNameOf(was) === current) continue
      const key = table.key.map((_, part) => row[`key_${part}`])
      const place = table.placeOf(column, key)
      try {
        values.push({ key, was, becomes: vault.seal(vault.open(was, place), place) })
      } catch (error) {
        if (!(error instanceof VaultError)) throw error
        lost++
      }
    }
    const resealed = values.length === 0 ? 0 : await replace(table, column, values)
    return { found: values.length + lost, resealed, lost }
  }

  return {
    /**
     * Seals all values of a table with the first key that are sealed with another. Those that are being changed
     * meanwhile are left, for another walk.
     */
    async *reseal(table: SealedTable): AsyncGenerator<ResealedPage> {
      for await (const rows of pagesOf(table, (after) => stalePage(table, after))) {
        const sum = { found: 0, resealed: 0, lost: 0 }
        for (const [index, column] of table.columns.entries()) {
          const part = await resealColumn(table, column, index, rows)
          sum.found += part.found
          sum.resealed += part.resealed
          sum.lost += part.lost
        }
        yield sum
      }
    },

    /** Counts the values of a table by their keys, without opening any. */
    async *count(table: SealedTable): AsyncGenerator<KeyUse> {
      const kinds = sql.join(
        table.columns.map(
          (column, index) => sql`(${column}::text, ${sql.ref(`page.value_${index}`)})`,
        ),
      )
      const statement = (after: After) => sql<Row>`
        with ${page(table, after, table.columns, COUNTED_AT_ONCE)},
        counted as (
          select kind, encode(substring(value from 2 for 4), 'hex') as key, count(*)::int as values
          from page cross join lateral (values ${kinds}) as sealed (kind, value)
          where value is not null group by 1, 2
        )
        select last.*, counted.* from last left join counted on true`
      for await (const rows of pagesOf(table, statement))
        for (const { kind, key, values } of rows)
          if (typeof key === 'string')
            yield { column: `${table.table}.${kind}`, key, values: Number(values) }
    },
  }
}
