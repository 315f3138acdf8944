import { sql } from 'kysely'
import { z } from 'zod'
import { auditEntry } from '../audit/event.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, unexpired } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { createSealedRecords, OUTLIVING_GRANTS, type StoredPayload } from './sealed-records.ts'

export type Consents = ReturnType<typeof createConsents>

/** An app that can see something of an account. */
export interface AppAccess {
  clientId: string
  name: string | null
  scopes: readonly string[]
  /** since the oldest grant that still stands */
  since: Date
}

/** What apps were given, and taking it back. */
export function createConsents({ db, vault, clock }: { db: Db; vault: Vault; clock: Clock }) {
  const sealed = createSealedRecords(vault)

  return {
    /** Apps that have access now: in a session that goes on, or while the person is away. */
    async list(accountId: string): Promise<AppAccess[]> {
      const rows = await db
        .selectFrom('oidc_record as g')
        .innerJoin('client as c', 'c.id', 'g.client_id')
        .select(['g.key', 'g.payload', 'c.id', 'c.name'])
        .select(({ exists, selectFrom }) => [
          exists(
            selectFrom('oidc_record as s')
              .select('s.key')
              .whereRef('s.uid_key', '=', 'g.session_uid_key')
              .where(unexpired(clock, 's.expires_at')),
          ).as('in_session'),
          exists(
            selectFrom('oidc_record as t')
              .select('t.key')
              .whereRef('t.grant_key', '=', 'g.key')
              .where('t.model', 'in', ['RefreshToken', 'AccessToken'])
              .where('t.consumed_at', 'is', null)
              .where(unexpired(clock, 't.expires_at')),
          ).as('has_tokens'),
        ])
        .where('g.account_id', '=', accountId)
        .where('g.model', '=', 'Grant')
        .where(unexpired(clock, 'g.expires_at'))
        .execute()
      const apps = new Map<string, AppAccess>()
      for (const { key, payload, id, name, in_session: inSession, has_tokens: hasTokens } of rows) {
        const grant = sealed.open(key, payload, null)
        const { iat = 0 } = grant
        const held = scopesOf(grant)
        // Without offline access, tokens are dead once their session is.
        if (!inSession && !(hasTokens && held.includes('offline_access'))) continue
        const { scopes = [], since = new Date(iat * 1000) } = apps.get(id) ?? {}
        apps.set(id, {
          clientId: id,
          name,
          scopes: [...new Set([...scopes, ...held])],
          since: new Date(Math.min(since.getTime(), iat * 1000)),
        })
      }
      return [...apps.values()].toSorted((a, b) => a.clientId.localeCompare(b.clientId))
    },

    /**
     * Takes back all that an app was given: its grants, codes and tokens. Sessions go on.
     * @returns whether there was anything
     */
    async revoke(accountId: string, clientId: string): Promise<boolean> {
      const event = { type: 'consent.revoked', accountId, clientId } as const
      const { rows } = await sql<{ revoked: number }>`
        with gone as (
          delete from oidc_record
          where account_id = ${accountId} and client_id = ${clientId}
            and model <> all(${OUTLIVING_GRANTS}::text[])
          returning key
        ),
        recorded as (${auditEntry(clock, event, sql`where exists (select from gone)`)})
        select count(*)::integer as revoked from recorded`.execute(db)
      return (rows[0]?.revoked ?? 0) > 0
    },
  }
}

const granted = z.object({
  openid: z.object({ scope: z.string().default('') }).optional(),
  resources: z.record(z.string(), z.string()).default({}),
})

/** The scopes a grant holds, at APIs too; one that was made for nothing has none. */
function scopesOf(payload: StoredPayload): string[] {
  const { openid, resources } = granted.parse(payload)
  return [openid?.scope ?? '', ...Object.values(resources)]
    .flatMap((scope) => scope.split(' '))
    .filter((scope) => scope !== '')
}
