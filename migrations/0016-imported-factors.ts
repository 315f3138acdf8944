import { type QueryExecutorProvider, sql } from 'kysely'

/** Imports wrote numbers without the row that says how the second factor stands, and no code was asked for without. */
export async function up(db: QueryExecutorProvider): Promise<void> {
  await sql`
    insert into second_factor (account_id)
    select distinct account_id from phone where not pending
    on conflict do nothing`.execute(db)
}
