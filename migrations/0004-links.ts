import { type Kysely, sql } from 'kysely'

/** One open link of a purpose for each account, and accounts found by their e-mail address. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create unique index one_time_link_open on one_time_link (account_id, purpose) where used_at is null;

    create index account_email on account (lower(email)) where email is not null;
  `.execute(db)
}
