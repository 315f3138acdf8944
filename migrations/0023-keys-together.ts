import { type Kysely, sql } from 'kysely'

/**
 * The algorithms that there were keys of when one took over, so that a key that was lost is told from one that a
 * version without its algorithm left behind when it rotated. That version leaves it empty.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table signing_key add column made_with text[];
    update signing_key set made_with = array(
      select distinct algorithm from signing_key where retires_at is null)
    where retires_at is null;
  `.execute(db)
}
