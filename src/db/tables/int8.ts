import type { ColumnType } from 'kysely'

/** int8: the driver hands it over as a string, so that no digit is lost; it is only ever added to in SQL. */
export type BigInt8 = ColumnType<string, string | undefined, never>
