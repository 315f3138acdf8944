import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table keyring (
      name text primary key,
      value bytea not null
    );

    create table account (
      id text primary key,
      username text not null,
      username_key text not null unique,
      email text,
      email_verified boolean not null default false,
      name text,
      password_hash text,
      disabled_at timestamptz,
      created_at timestamptz not null default now()
    );
    create index account_created on account (created_at, id);

    create table sign_in_attempt (
      key bytea primary key,
      failures integer not null,
      pending integer not null default 0,
      locked_until timestamptz,
      last_at timestamptz not null
    );
    create index sign_in_attempt_last on sign_in_attempt (last_at);

    create table second_factor (
      account_id text primary key references account on delete cascade,
      failures integer not null default 0,
      locked_until timestamptz,
      disabled_at timestamptz
    );

    create table phone (
      id text primary key,
      account_id text not null references account on delete cascade,
      number bytea not null,
      number_fingerprint bytea not null,
      country text,
      is_primary boolean not null,
      verified_at timestamptz,
      hotp_secret bytea,
      hotp_counter bigint not null default 0,
      created_at timestamptz not null default now(),
      unique (account_id, number_fingerprint)
    );
    create unique index phone_primary on phone (account_id) where is_primary;
    create index phone_number on phone (number_fingerprint);

    create table challenge (
      id text primary key,
      interaction bytea not null,
      browser bytea not null,
      account_id text not null references account on delete cascade,
      phone_id text not null references phone on delete cascade,
      counter bigint not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      attempts integer not null default 0,
      sends integer not null default 1,
      last_sent_at timestamptz not null,
      send_failed_at timestamptz,
      passed_at timestamptz,
      closed_at timestamptz,
      unique (phone_id, counter)
    );
    create index challenge_interaction on challenge (interaction, created_at desc);
    create index challenge_account on challenge (account_id);
    create index challenge_expires on challenge (expires_at);

    create table send_limit (
      key bytea primary key,
      slot bigint not null,
      slots integer[] not null
    );
    create index send_limit_slot on send_limit (slot);

    create table message (
      id text primary key,
      challenge_id text not null,
      channel text not null,
      gateway text not null,
      country text,
      parts integer not null,
      state text not null,
      provider_id text,
      failure text,
      detail text,
      created_at timestamptz not null,
      updated_at timestamptz not null
    );
    create index message_challenge on message (challenge_id, created_at desc);
    create index message_created on message (created_at);

    create table client (
      id text primary key,
      name text,
      secret bytea,
      metadata jsonb not null,
      first_party boolean not null default false,
      second_factor text,
      created_at timestamptz not null default now()
    );

    create table oidc_record (
      key bytea primary key,
      model text not null,
      payload bytea not null,
      client_id text,
      account_id text,
      grant_key bytea,
      uid_key bytea,
      session_uid_key bytea,
      expires_at timestamptz,
      consumed_at timestamptz
    );
    create index oidc_record_grant on oidc_record (grant_key) where grant_key is not null;
    create index oidc_record_uid on oidc_record (uid_key) where uid_key is not null;
    create index oidc_record_account on oidc_record (account_id) where account_id is not null;
    create index oidc_record_expires on oidc_record (expires_at);

    create table signing_key (
      kid text primary key,
      algorithm text not null,
      private_jwk bytea not null,
      created_at timestamptz not null default now()
    );
  `.execute(db)
}
