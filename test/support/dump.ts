import { sql } from 'kysely'
import type { Db } from '../../src/db/schema.ts'

/** Every row of every table, as text: what somebody with a stolen dump would read. */
export async function dump(db: Db): Promise<string> {
  const tables = await db.introspection.getTables()
  const rows = await Promise.all(
    tables.map(async ({ name }) => (await sql`select * from ${sql.table(name)}`.execute(db)).rows),
  )
  return JSON.stringify(rows, (_key, value) => {
    const buffer =
      value?.type === 'Buffer' && Array.isArray(value.data) ? Buffer.from(value.data) : undefined
    return buffer
      ? [buffer.toString('hex'), buffer.toString('latin1'), buffer.toString('base64url')]
      : value
  })
}

/** Ways in which a value may stand in a dump. */
export function writings(value: string): string[] {
  const bytes = Buffer.from(value)
  return [value, bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url')]
}
