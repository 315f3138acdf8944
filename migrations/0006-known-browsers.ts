import { type Kysely, sql } from 'kysely'

/** Tries are found by the name alone, too, so that all of a name's can be forgotten, known browsers' included. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table sign_in_attempt add column name_key bytea;
    create index sign_in_attempt_name on sign_in_attempt (name_key) where name_key is not null;
  `.execute(db)
}
