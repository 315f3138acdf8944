import { type Kysely, sql } from 'kysely'

/**
 * What happened, to whom, by whom. Rows are only ever added: a trigger refuses every change, and every
 * removal of a row that is younger than the shortest retention the configuration takes (30 days).
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table audit_event (
      id bigint generated always as identity primary key,
      at timestamptz not null,
      type text not null,
      actor text not null,
      account_id text,
      client_id text,
      request_id text,
      address text,
      detail jsonb not null default '{}'
    );
    create index audit_event_account on audit_event (account_id, id desc) where account_id is not null;
    create index audit_event_type on audit_event (type, id desc);
    create index audit_event_at on audit_event (at, id);

    create function audit_event_stays() returns trigger language plpgsql as $$
    begin
      if tg_op = 'DELETE' and old.at < now() - interval '30 days' then
        return old;
      end if;
      raise exception 'audit events are only ever added' using errcode = 'insufficient_privilege';
    end $$;
    create trigger audit_event_stays before update or delete on audit_event
      for each row execute function audit_event_stays();
    create trigger audit_event_is_not_emptied before truncate on audit_event
      for each statement execute function audit_event_stays();
  `.execute(db)
}
