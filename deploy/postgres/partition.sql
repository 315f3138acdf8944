-- Makes large tables partitioned, as docs/postgres.md has it: `oidc_record` by hash of its key, `audit_event` by month.
--
-- Stop all instances, and run it as the role that owns the tables:
--   psql --set ON_ERROR_STOP=1 --file deploy/postgres/partition.sql "$DATABASE_URL"
-- It is one transaction, so it is done as a whole or not at all. Both tables are copied: have room for that. What
-- others were granted on them has to be granted again. For one of the two, leave the other's part out.

begin;
set local statement_timeout = 0;
set local lock_timeout = 0;
set local timezone = 'UTC';

-- Sessions and tokens

alter table oidc_record rename to oidc_record_whole;
create table oidc_record (like oidc_record_whole including all excluding indexes)
  partition by hash (key);
do $$
begin
  for n in 0..7 loop
    execute format(
      'create table oidc_record_%s partition of oidc_record for values with (modulus 8, remainder %s)
        with (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 85)', n, n);
  end loop;
end $$;
insert into oidc_record select * from oidc_record_whole;
drop table oidc_record_whole;

alter table oidc_record add constraint oidc_record_pkey primary key (key);
create index oidc_record_grant on oidc_record (grant_key) where grant_key is not null;
create index oidc_record_uid on oidc_record (uid_key) where uid_key is not null;
create index oidc_record_account on oidc_record (account_id) where account_id is not null;
create index oidc_record_expires on oidc_record (expires_at);
-- It can't be unique: it hasn't the key.
create index oidc_record_user_code on oidc_record (user_code_key) where user_code_key is not null;
create index oidc_record_client on oidc_record (client_id) where client_id is not null;

-- The audit trail

alter table audit_event rename to audit_event_whole;
create table audit_event (like audit_event_whole including all excluding indexes excluding identity)
  partition by range (at);
-- Before PostgreSQL 17 a partitioned table has no identity column.
create sequence audit_event_number owned by audit_event.id;
select setval('audit_event_number', last_value, is_called) from audit_event_id_seq;
alter table audit_event alter id set default nextval('audit_event_number');
-- All there is, twelve months from this one on, and what comes after them: make the next ones before they begin.
do $$
declare
  month timestamptz := date_trunc('month', now());
begin
  execute format('create table audit_event_before partition of audit_event for values from (minvalue) to (%L)', month);
  for n in 1..12 loop
    execute format('create table audit_event_%s partition of audit_event for values from (%L) to (%L)',
      to_char(month, 'YYYY_MM'), month, month + interval '1 month');
    month := month + interval '1 month';
  end loop;
  create table audit_event_later partition of audit_event default;
end $$;
insert into audit_event select * from audit_event_whole;
drop table audit_event_whole;

alter table audit_event add constraint audit_event_pkey primary key (id, at);
create index audit_event_account on audit_event (account_id, id desc) where account_id is not null;
create index audit_event_type on audit_event (type, id desc);
create index audit_event_at on audit_event (at, id);
create index audit_event_right_code on audit_event ((detail ->> 'challenge')) where type = 'code.right';
create index audit_event_watched on audit_event (type, at)
  where type in ('codes.locked', 'password.locked', 'alert.prefix');
create index audit_event_actor on audit_event (actor, at, id) where actor <> 'self';
create index audit_event_client on audit_event (client_id, at, id) where client_id is not null;
create trigger audit_event_stays before update or delete on audit_event
  for each row execute function audit_event_stays();
create trigger audit_event_is_not_emptied before truncate on audit_event
  for each statement execute function audit_event_stays();

analyze oidc_record, audit_event;
commit;
