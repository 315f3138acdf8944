import { type RawBuilder, sql } from 'kysely'

/** A table of figures: rows of a slot by their keys. */
export interface FigureTable {
  name: string
  keys: readonly string[]
  figures: readonly string[]
}

/**
 * Puts the rows of `fresh` in the place of a slot's. Whoever comes at the same time waits, so that the two never wait
 * for each other; what stays the same isn't written.
 * @param fresh common table expressions, of which `fresh` is the last
 */
export function replaced(
  table: FigureTable,
  span: number,
  beginning: RawBuilder<Date>,
  fresh: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const list = (names: readonly string[], of?: string) =>
    sql.join(names.map((name) => sql.ref(of ? `${of}.${name}` : name)))
  const keys = list(table.keys)
  const figures = list(table.figures)
  return sql`
    with turn as materialized (select id from roll_up for update),
    ${fresh},
    gone as (
      delete from ${sql.table(table.name)} t
      where exists (select from turn) and t.span = ${span} and t.slot = ${beginning}
        and (${list(table.keys, 't')}) not in (select ${keys} from fresh)
    )
    insert into ${sql.table(table.name)} as t (span, slot, ${keys}, ${figures})
    select ${span}::smallint, ${beginning}, ${keys}, ${figures} from fresh
    where exists (select from turn)
    order by ${keys}
    on conflict (span, slot, ${keys}) do update
      set ${sql.join(table.figures.map((name) => sql`${sql.ref(name)} = ${sql.ref(`excluded.${name}`)}`))}
      where (${list(table.figures, 't')}) is distinct from (${list(table.figures, 'excluded')})`
}
