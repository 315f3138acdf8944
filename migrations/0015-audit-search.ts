import { type Kysely, sql } from 'kysely'

/** For admins who look for what somebody did, or what happened with an app. Most events are people's own. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create index audit_event_actor on audit_event (actor, at, id) where actor <> 'self';
    create index audit_event_client on audit_event (client_id, at, id) where client_id is not null;
  `.execute(db)
}
