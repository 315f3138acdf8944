import { type Selectable, sql } from 'kysely'
import { z } from 'zod'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { ApiTable } from '../db/tables/oidc.ts'
import { Refusal } from '../errors.ts'
import { SIGNING_ALGORITHMS } from './key-making.ts'
import { assertSensibleApi, type NewApi, newApi } from './new-api.ts'

export type Apis = ReturnType<typeof createApis>

/** An API as it is registered. */
export interface Api extends z.output<typeof newApi> {
  createdAt: Date
}

/** APIs that access tokens are made for (RFC 8707), as JWTs (RFC 9068). */
export function createApis({ db, clock, issuer }: { db: Db; clock: Clock; issuer: string }) {
  async function findBy(column: 'id' | 'resource', value: string): Promise<Api | undefined> {
    if (value.includes('\0')) return undefined
    const row = await db.selectFrom('api').selectAll().where(column, '=', value).executeTakeFirst()
    return row && apiOf(row)
  }

  return {
    /** @throws Refusal naming what is wrong */
    async create(input: NewApi): Promise<Api> {
      const parsed = newApi.safeParse(input)
      if (!parsed.success) throw new Refusal('api', 400, z.prettifyError(parsed.error))
      const api = parsed.data
      assertSensibleApi(api, issuer)
      return db.transaction().execute(async (trx) => {
        // Of two at once, one sees the other's scopes.
        await sql`lock table api in share row exclusive mode`.execute(trx)
        const { rows } = await sql<{ id: string; resource: string; scopes: string[] }>`
          select id, resource, scopes from api
          where id = ${api.id} or resource = ${api.resource} or scopes && ${api.scopes}::text[]
          limit 1`.execute(trx)
        const [taken] = rows
        if (taken) throw alreadyThere(api, taken)
        const row = await trx
          .insertInto('api')
          .values({
            id: api.id,
            resource: api.resource,
            name: api.name,
            scopes: api.scopes,
            lifetime_seconds: api.lifetimeSeconds,
            algorithm: api.algorithm,
            created_at: clock(),
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        const detail = { id: api.id }
        await auditEntry(clock, { type: 'api.created', detail }).execute(trx)
        return apiOf(row)
      })
    },

    async list(): Promise<Api[]> {
      return (await db.selectFrom('api').selectAll().orderBy('id').execute()).map(apiOf)
    },

    show: (id: string) => findBy('id', id),

    /** The API that an app asks for by `resource`. */
    findByResource: (resource: string) => findBy('resource', resource),

    /**
     * Removes an API: no more tokens are made for it. Those that were are good until they end.
     * @returns whether there was such an API
     * @throws Refusal while apps are registered for its scopes
     */
    async remove(id: string): Promise<boolean> {
      return db.transaction().execute(async (trx) => {
        const { rows } = await sql<{ scopes: string[] }>`
          delete from api where id = ${id} returning scopes`.execute(trx)
        const [gone] = rows
        if (!gone) return false
        const { rows: users } = await sql<{ id: string }>`
          select id from client
          where jsonb_exists_any(metadata -> 'api_scopes', ${gone.scopes}::text[])
          order by id limit 5`.execute(trx)
        if (users.length > 0) {
          const names = users.map((client) => client.id).join(', ')
          throw new Refusal(
            'api_in_use',
            409,
            `Apps may ask for its scopes: take them from ${names} first.`,
          )
        }
        await auditEntry(clock, { type: 'api.deleted', detail: { id } }).execute(trx)
        return true
      })
    },
  }
}

/**
 * Makes sure that scopes are offered by APIs, and are until the transaction is done.
 * @throws Refusal naming one that isn't
 */
export async function assertOffered(on: Db, scopes: readonly string[]): Promise<void> {
  if (scopes.length === 0) return
  const { rows } = await sql<{ scopes: string[] }>`
    select scopes from api where scopes && ${[...scopes]}::text[] for share`.execute(on)
  const offered = new Set(rows.flatMap((row) => row.scopes))
  const missing = scopes.find((scope) => !offered.has(scope))
  if (missing) throw new Refusal('client', 400, `No API offers the scope ${missing}.`)
}

export function unknownApi(id: string): Refusal {
  return new Refusal('no_api', 404, `There is no API ${id}.`)
}

const algorithm = z.enum(SIGNING_ALGORITHMS)

function apiOf(row: Selectable<ApiTable>): Api {
  return {
    id: row.id,
    resource: row.resource,
    name: row.name,
    scopes: row.scopes,
    lifetimeSeconds: row.lifetime_seconds,
    algorithm: algorithm.parse(row.algorithm),
    createdAt: row.created_at,
  }
}

function alreadyThere(
  api: { id: string; resource: string; scopes: readonly string[] },
  taken: { id: string; resource: string; scopes: readonly string[] },
): Refusal {
  const refuse = (sentence: string) => new Refusal('api_exists', 409, sentence)
  if (taken.id === api.id) return refuse(`There is an API ${api.id} already.`)
  if (taken.resource === api.resource)
    return refuse(`The API ${taken.id} has this resource already.`)
  const scope = api.scopes.find((one) => taken.scopes.includes(one))
  return refuse(`The API ${taken.id} offers the scope ${scope} already.`)
}
