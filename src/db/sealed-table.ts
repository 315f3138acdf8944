import type { Place } from '../crypto/vault.ts'
import type { Database } from './schema.ts'

type Named<T extends keyof Database> = keyof Database[T] & string

/** A table with sealed values: enough to find each of them and to seal it anew in its place. */
export interface SealedTable {
  table: string
  /** columns of the primary key, in its order, with their types */
  key: ReadonlyArray<readonly [column: string, type: 'text' | 'bytea' | 'int4']>
  columns: readonly string[]
  /** rows that are read at a time */
  rowsAtOnce: number
  /** @param key the row's, in the order of `key` */
  placeOf: (column: string, key: readonly unknown[]) => Place
}

/**
 * Declares what of a table is sealed. Each room does for its own, beside where it seals: what isn't declared would be
 * left behind when `ENCRYPTION_KEYS` change.
 *
 * @param sealedAs for a column that is sealed as another is, so that values can move between them unopened
 */
export function sealedTable<T extends keyof Database & string>(
  table: T,
  {
    key,
    columns,
    sealedAs,
    rowsAtOnce = 500,
  }: {
    key: Readonly<Partial<Record<Named<T>, 'text' | 'bytea' | 'int4'>>>
    columns: ReadonlyArray<Named<T>>
    sealedAs?: Readonly<Partial<Record<Named<T>, Named<T>>>>
    rowsAtOnce?: number
  },
): SealedTable {
  const others = new Map<string, string>(Object.entries(sealedAs ?? {}))
  return {
    table,
    key: Object.entries(key),
    columns,
    rowsAtOnce,
    placeOf: (column, values) => ({
      column: `${table}.${others.get(column) ?? column}`,
      row: values.map(asText).join('/'),
    }),
  }
}

function asText(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('hex') : String(value)
}
