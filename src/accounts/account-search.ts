import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/schema.ts'
import type { Role } from './account.ts'
import { type AccountRecord, RECORD_COLUMNS, type RecordRow, toRecord } from './account-records.ts'

export const ACCOUNT_SORTS = ['createdAt', '-createdAt', 'username', '-username'] as const
export type AccountSort = (typeof ACCOUNT_SORTS)[number]

export interface AccountQuery {
  /** words that username, full name or e-mail address have, by their beginnings */
  words?: string | undefined
  /** fingerprint of a whole phone number */
  phone?: Buffer | undefined
  role?: Role | 'any' | undefined
  disabled?: boolean | undefined
  sort?: AccountSort | undefined
  /** the last account of the page before */
  after?: AccountPlace | undefined
  limit: number
}

/** Where an account stands in a list: the value it is sorted by, exactly as the database has it, and its id. */
export interface AccountPlace {
  value: string
  id: string
}

/** One entry of a list, and where the next page begins. */
export type ListedAccount = AccountRecord & { place: AccountPlace }

const ORDERS: Record<
  AccountSort,
  { column: RawBuilder<unknown>; cast: RawBuilder<unknown>; down: boolean }
> = {
  createdAt: { column: sql`created_at`, cast: sql`::timestamptz`, down: false },
  '-createdAt': { column: sql`created_at`, cast: sql`::timestamptz`, down: true },
  username: { column: sql`username_key`, cast: sql``, down: false },
  '-username': { column: sql`username_key`, cast: sql``, down: true },
}

/** Finds accounts by words' beginnings, an exact phone number, or what they are, page by page. */
export function createAccountSearch({ db }: { db: Db }) {
  return {
    /** The usernames of those of these accounts that are still there, by id. */
    async usernames(ids: readonly string[]): Promise<Map<string, string>> {
      const rows = await db
        .selectFrom('account')
        .select(['id', 'username'])
        .where('id', 'in', [...ids, ''])
        .execute()
      return new Map(rows.map(({ id, username }) => [id, username]))
    },

    async search(query: AccountQuery): Promise<ListedAccount[]> {
      const { column, cast, down } = ORDERS[query.sort ?? 'createdAt']
      const direction = down ? sql`desc` : sql`asc`
      const conditions = conditionsOf(query)
      if (query.after) {
        const { value, id } = query.after
        conditions.push(sql`(${column}, id) ${down ? sql`<` : sql`>`} (${value}${cast}, ${id})`)
      }
      const where = conditions.length > 0 ? sql`where ${sql.join(conditions, sql` and `)}` : sql``
      // As text: a Date would cut a time to milliseconds, and accounts between two pages would be lost.
      const { rows } = await sql<RecordRow & { place: string }>`
        select ${RECORD_COLUMNS}, ${column}::text as place from account ${where}
        order by ${column} ${direction}, id ${direction} limit ${query.limit}`.execute(db)
      return rows.map((row) => ({ ...toRecord(row), place: { value: row.place, id: row.id } }))
    },
  }
}

function conditionsOf({ words, phone, role, disabled }: AccountQuery): RawBuilder<unknown>[] {
  const conditions: RawBuilder<unknown>[] = []
  const anyOf: RawBuilder<unknown>[] = []
  const text = words === undefined ? '' : searchText(words)
  if (text) anyOf.push(sql`search @@ to_tsquery('simple', ${text})`)
  if (phone)
    anyOf.push(sql`id in (
      select account_id from phone where number_fingerprint = ${phone} and not pending)`)
  if (anyOf.length > 0) conditions.push(sql`(${sql.join(anyOf, sql` or `)})`)
  // Nothing that could be found was asked for, as by signs alone.
  else if (words?.trim()) conditions.push(sql`false`)
  if (role === 'any') conditions.push(sql`role is not null`)
  else if (role) conditions.push(sql`role = ${role}`)
  if (disabled !== undefined)
    conditions.push(disabled ? sql`disabled_at is not null` : sql`disabled_at is null`)
  return conditions
}

/** Words as the database looks for them; only letters and digits are left, so nothing in them can steer the search. */
function searchText(words: string): string {
  return words
    .normalize('NFKC')
    .toLowerCase()
    .split(/[^\p{L}\p{N}\p{M}]+/u)
    .filter(Boolean)
    .slice(0, 10)
    .map((word) => `${word}:*`)
    .join(' & ')
}
