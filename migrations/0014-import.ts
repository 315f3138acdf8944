import { type Kysely, sql } from 'kysely'

/** Imports: how far each has come, what was wrong with which row, and content that waits to be worked off. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table import_job (
      id text primary key,
      source text not null,
      fingerprint text,
      format text not null,
      options jsonb not null,
      dry_run boolean not null,
      state text not null,
      chunks integer not null default 0,
      bytes_total bigint not null default 0,
      bytes_done bigint not null default 0,
      lines_done bigint not null default 0,
      created integer not null default 0,
      updated integer not null default 0,
      failed integer not null default 0,
      error text,
      runner text,
      lease_until timestamptz,
      tries integer not null default 0,
      created_by text not null,
      created_at timestamptz not null,
      updated_at timestamptz not null
    );
    create index import_job_created on import_job (created_at desc, id);
    create index import_job_updated on import_job (updated_at);
    create index import_job_due on import_job (created_at) where source = 'upload' and state in ('waiting', 'running');
    create index import_job_file on import_job (fingerprint) where fingerprint is not null;

    create table import_failure (
      job_id text not null references import_job on delete cascade,
      line bigint not null,
      reason text not null,
      primary key (job_id, line)
    );

    create table import_chunk (
      job_id text not null references import_job on delete cascade,
      seq integer not null,
      content bytea not null,
      primary key (job_id, seq)
    );
  `.execute(db)
}
