import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signInToAccount } from '../support/account.ts'
import type { TestDatabase } from '../support/database.ts'
import { createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

/** As `docs/postgres.md` has it. */
async function partition({ db }: TestDatabase): Promise<void> {
  await sql`
    alter table oidc_record rename to whole_oidc_record;
    create table oidc_record (like whole_oidc_record including all excluding indexes)
      partition by hash (key);
    alter table oidc_record add primary key (key);
    create index on oidc_record (grant_key) where grant_key is not null;
    create index on oidc_record (uid_key) where uid_key is not null;
    create index on oidc_record (user_code_key) where user_code_key is not null;
    create index on oidc_record (account_id) where account_id is not null;
    create index on oidc_record (client_id) where client_id is not null;
    create index on oidc_record (expires_at);
    create table oidc_record_0 partition of oidc_record for values with (modulus 2, remainder 0);
    create table oidc_record_1 partition of oidc_record for values with (modulus 2, remainder 1);
    drop table whole_oidc_record;

    alter table audit_event rename to whole_audit_event;
    create table audit_event (like whole_audit_event including all excluding indexes)
      partition by range (at);
    alter table audit_event add primary key (id, at);
    create index on audit_event (account_id, id desc) where account_id is not null;
    create index on audit_event (at, id);
    create table audit_event_now partition of audit_event default;
    create trigger audit_event_stays before update or delete on audit_event
      for each row execute function audit_event_stays();
    create trigger audit_event_is_not_emptied before truncate on audit_event
      for each statement execute function audit_event_stays();
    drop table whole_audit_event`.execute(db)
}

let house: House
beforeAll(async () => {
  house = await startHouse({ prepare: partition })
})
afterAll(() => house.stop())

test('records in partitions by hash and events in partitions by time serve as before', async () => {
  const client = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  const { id } = await house.addAccount('alex')
  const flow = createFlow(house, { client })
  const code = (await flow.complete('alex')).get('code') ?? ''
  const { status, body } = await flow.redeem(code)
  expect(status).toBe(200)
  const renewal = { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) }
  const renewed = await flow.redeem('', renewal)
  expect(renewed.status).toBe(200)
  // Single use, and what hangs on it.
  expect((await flow.redeem('', renewal)).body.error).toBe('invalid_grant')
  const last = { ...renewal, refresh_token: String(renewed.body.refresh_token) }
  expect((await flow.redeem('', last)).body.error).toBe('invalid_grant')

  const me = await signInToAccount(house, 'alex')
  expect(await me.text('/account/history')).toContain('Signed in')
  await expect(
    sql`delete from audit_event where account_id = ${id}`.execute(house.db),
  ).rejects.toThrow('only ever added')
})
