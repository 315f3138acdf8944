import { type Kysely, sql } from 'kysely'

/** Several phones, authenticator apps, backup codes, trusted browsers, links and notices. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table account add column language text;

    alter table second_factor add column hold_new_until timestamptz;

    alter table phone
      add column label text,
      add column pending boolean not null default false,
      add column held_until timestamptz,
      add column position integer not null default 0;
    create index phone_pending on phone (created_at) where pending;

    create table authenticator (
      id text primary key,
      account_id text not null references account on delete cascade,
      secret bytea not null,
      confirmed_at timestamptz,
      held_until timestamptz,
      last_step bigint,
      created_at timestamptz not null
    );
    create unique index authenticator_confirmed on authenticator (account_id) where confirmed_at is not null;
    create unique index authenticator_pending on authenticator (account_id) where confirmed_at is null;

    create table backup_code (
      hash bytea primary key,
      account_id text not null references account on delete cascade,
      created_at timestamptz not null,
      used_at timestamptz
    );
    create index backup_code_account on backup_code (account_id);

    alter table challenge
      alter column phone_id drop not null,
      alter column counter drop not null,
      drop constraint challenge_phone_id_fkey,
      add constraint challenge_phone_id_fkey foreign key (phone_id) references phone on delete set null,
      add column authenticator_id text references authenticator on delete set null,
      add column purpose text not null default 'sign-in',
      add column channel text not null default 'sms',
      add column passed_with text,
      add column late_tries integer not null default 0;
    create index challenge_authenticator on challenge (authenticator_id) where authenticator_id is not null;
    create index challenge_proof on challenge (browser, account_id, passed_at desc) where passed_at is not null;

    create table trusted_device (
      id text primary key,
      account_id text not null references account on delete cascade,
      token_hash bytea not null unique,
      browser text not null,
      created_at timestamptz not null,
      rotated_at timestamptz not null,
      expires_at timestamptz not null
    );
    create index trusted_device_account on trusted_device (account_id);
    create index trusted_device_expires on trusted_device (expires_at);

    create table one_time_link (
      token_hash bytea primary key,
      account_id text not null references account on delete cascade,
      purpose text not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      used_at timestamptz
    );
    create index one_time_link_account on one_time_link (account_id);
    create index one_time_link_expires on one_time_link (expires_at);

    create table notice (
      id text primary key,
      account_id text not null references account on delete cascade,
      kind text not null,
      medium text not null,
      recipient bytea not null,
      language text,
      detail bytea,
      created_at timestamptz not null,
      next_try_at timestamptz not null,
      tries integer not null default 0,
      state text not null default 'waiting'
    );
    create index notice_due on notice (next_try_at) where state = 'waiting';
    create index notice_account on notice (account_id, created_at);
    create index notice_created on notice (created_at);
    alter table message alter column challenge_id drop not null;
  `.execute(db)
}
