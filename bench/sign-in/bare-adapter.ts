import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { Pool } from 'pg'

/** What the adapter and the login page of the bare provider need, as one would write it down first. */
export const BARE_SCHEMA = `
  create table oidc_model (
    model text not null,
    id text not null,
    payload jsonb not null,
    grant_id text,
    user_code text,
    uid text,
    expires_at timestamptz,
    consumed_at timestamptz,
    primary key (model, id)
  );
  create index oidc_model_grant on oidc_model (grant_id) where grant_id is not null;
  create index oidc_model_uid on oidc_model (uid) where uid is not null;
  create table person (
    id text primary key,
    username text not null unique,
    password_hash text not null
  )`

/**
 * A plain adapter over PostgreSQL, in the shape of those that come with node-oidc-provider as examples: one
 * upsert for each model that is saved, its payload as JSON.
 */
export function createBareAdapter(pool: Pool): (model: string) => Adapter {
  interface Row {
    payload: AdapterPayload
    consumed_at: Date | null
  }

  return (model) => {
    async function findBy(column: 'id' | 'uid' | 'user_code', value: string) {
      const { rows } = await pool.query<Row>(
        `select payload, consumed_at from oidc_model
         where model = $1 and ${column} = $2 and (expires_at is null or expires_at > now())`,
        [model, value],
      )
      const [row] = rows
      if (!row) return undefined
      return row.consumed_at ? { ...row.payload, consumed: true } : row.payload
    }

    return {
      async upsert(id, payload, expiresIn) {
        await pool.query(
          `insert into oidc_model (model, id, payload, grant_id, user_code, uid, expires_at)
           values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
           on conflict (model, id) do update set payload = excluded.payload, grant_id = excluded.grant_id,
             user_code = excluded.user_code, uid = excluded.uid, expires_at = excluded.expires_at`,
          [model, id, payload, payload.grantId, payload.userCode, payload.uid, expiresIn],
        )
      },
      find: (id) => findBy('id', id),
      findByUid: (uid) => findBy('uid', uid),
      findByUserCode: (userCode) => findBy('user_code', userCode),
      async destroy(id) {
        await pool.query('delete from oidc_model where model = $1 and id = $2', [model, id])
      },
      async consume(id) {
        await pool.query('update oidc_model set consumed_at = now() where model = $1 and id = $2', [
          model,
          id,
        ])
      },
      async revokeByGrantId(grantId) {
        await pool.query('delete from oidc_model where model = $1 and grant_id = $2', [
          model,
          grantId,
        ])
      },
    }
  }
}
