import { type Kysely, sql } from 'kysely'

/**
 * What tells a stranger's text from others, and what becomes of them. `send_pause` is of no more use, and stays for
 * the version before this one, which may still run beside it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table challenge add column known_browser boolean not null default false;

    create table send_day (
      country text not null,
      day bigint not null,
      passes integer not null,
      primary key (country, day)
    );
    create index send_day_day on send_day (day);
    insert into send_day (country, day, passes)
      select country, slot / 288, sum(passes) from send_traffic group by 1, 2;
  `.execute(db)
}
