import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { AdapterPayload } from 'oidc-provider'
import { z } from 'zod'
import { auditEntry } from '../audit/event.ts'
import type { Vault } from '../crypto/vault.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { isBuiltIn } from './built-in.ts'
import { assertSensible, isNative, type NewClient, newClient } from './new-client.ts'

export { type NewClient, newClient }
export type Clients = ReturnType<typeof createClients>

export const CLIENT_COLUMNS = [
  'c.id as client_id',
  'c.name as client_name',
  'c.secret as client_secret',
  'c.metadata as client_metadata',
  'c.first_party as client_first_party',
  'c.second_factor as client_second_factor',
] as const

export interface ClientRow {
  client_id: string
  client_name: string | null
  client_secret: Buffer | null
  client_metadata: Record<string, unknown>
  client_first_party: boolean
  client_second_factor: 'required' | 'optional' | null
}

/** What may be shown of a client: everything but its secret. */
export interface ClientSummary {
  client_id: string
  name: string | null
  redirect_uris: string[]
  post_logout_redirect_uris: string[]
  grant_types: string[]
  public: boolean
  first_party: boolean
  second_factor: 'required' | 'optional' | null
  scope: string | null
  introspects: string[]
}

const storedMetadata = z.object({
  redirect_uris: z.array(z.string()),
  post_logout_redirect_uris: z.array(z.string()),
  grant_types: z.array(z.string()),
  response_types: z.array(z.literal('code')),
  token_endpoint_auth_method: z.enum(['none', 'client_secret_basic']),
  application_type: z.enum(['web', 'native']),
  scope: z.string().optional(),
  introspects: z.array(z.string()).default([]),
})

/** A client that is part of Sallyport. */
interface BuiltInClient {
  id: string
  name: string
  redirectUri: string
  postLogoutRedirectUri: string
  /** whether nobody gets in without a second factor, whatever the rule of the house */
  secondFactor?: 'required'
}

/** @param production whether plain http redirects are refused except to loopback */
export function createClients({
  db,
  clock,
  vault,
  production,
}: {
  db: Db
  clock: Clock
  vault: Vault
  production: boolean
}) {
  const place = (id: string) => ({ column: 'client.secret', row: id })

  async function findRow(id: string): Promise<ClientRow | undefined> {
    // A NUL can't be stored, so no client has one; PostgreSQL would answer with an error.
    if (id.includes('\0')) return undefined
    return db
      .selectFrom('client as c')
      .select(CLIENT_COLUMNS)
      .where('c.id', '=', id)
      .executeTakeFirst()
  }

  return {
    /**
     * Registers a client.
     * @returns its secret, readable only now; undefined for a public client
     * @throws Refusal naming what is wrong
     */
    async create(input: NewClient): Promise<{ id: string; secret: string | undefined }> {
      const parsed = newClient.safeParse(input)
      if (!parsed.success) throw new Refusal('client', 400, z.prettifyError(parsed.error))
      const client = parsed.data
      assertNotBuiltIn(client.id)
      const interactive = client.grants.includes('authorization_code')
      assertSensible(client, production)
      const secret = client.public ? undefined : randomBytes(32).toString('base64url')
      const native = client.public && client.redirectUris.some(isNative)
      const metadata: z.output<typeof storedMetadata> = {
        redirect_uris: client.redirectUris,
        post_logout_redirect_uris: client.postLogoutRedirectUris,
        grant_types: client.grants,
        response_types: interactive ? ['code'] : [],
        token_endpoint_auth_method: client.public ? 'none' : 'client_secret_basic',
        application_type: native ? 'native' : 'web',
        ...(client.scope && { scope: client.scope.join(' ') }),
        introspects: client.introspects,
      }
      await db.transaction().execute(async (trx) => {
        const inserted = await trx
          .insertInto('client')
          .values({
            id: client.id,
            name: client.name ?? null,
            secret: secret ? vault.seal(secret, place(client.id)) : null,
            metadata: JSON.stringify(metadata),
            first_party: client.firstParty,
            second_factor: client.secondFactor ?? null,
          })
          .onConflict((conflict) => conflict.column('id').doNothing())
          .returning('id')
          .executeTakeFirst()
        if (!inserted)
          throw new Refusal('client_exists', 409, `There is a client ${client.id} already.`)
        await auditEntry(clock, { type: 'client.created', clientId: client.id }).execute(trx)
      })
      return { id: client.id, secret }
    },

    /**
     * Makes sure of a client that is part of Sallyport, as it is to be now: public, first-party, for codes alone.
     */
    async ensureBuiltIn({
      id,
      name,
      redirectUri,
      postLogoutRedirectUri,
      secondFactor,
    }: BuiltInClient) {
      const metadata: z.output<typeof storedMetadata> = {
        redirect_uris: [redirectUri],
        post_logout_redirect_uris: [postLogoutRedirectUri],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        application_type: 'web',
        scope: 'openid',
        introspects: [],
      }
      const values = {
        name,
        metadata: JSON.stringify(metadata),
        first_party: true,
        second_factor: secondFactor ?? null,
      }
      await db
        .insertInto('client')
        .values({ id, ...values })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
        .execute()
    },

    findRow,

    /** A client in the provider's words, its secret opened. */
    metadataOf(row: ClientRow): AdapterPayload {
      const { introspects: _, ...metadata } = storedMetadata.parse(row.client_metadata)
      return {
        ...metadata,
        client_id: row.client_id,
        ...(row.client_name !== null && { client_name: row.client_name }),
        ...(row.client_secret && {
          client_secret: vault.open(row.client_secret, place(row.client_id)).toString(),
        }),
      }
    },

    /** The scopes a client was registered for; all when undefined. */
    scopeOf({ client_metadata }: ClientRow): string | undefined {
      return storedMetadata.parse(client_metadata).scope
    },

    /** The apps whose access tokens a client may introspect, beside its own. */
    introspectedBy({ client_metadata }: ClientRow): readonly string[] {
      return storedMetadata.parse(client_metadata).introspects
    },

    async list(): Promise<ClientSummary[]> {
      const rows = await db
        .selectFrom('client as c')
        .select(CLIENT_COLUMNS)
        .orderBy('c.id')
        .execute()
      return rows.map(summary)
    },

    async show(id: string): Promise<ClientSummary | undefined> {
      const row = await findRow(id)
      return row && summary(row)
    },

    /**
     * @returns whether there was such a client
     * @throws Refusal for one that is part of Sallyport
     */
    async remove(id: string): Promise<boolean> {
      assertNotBuiltIn(id)
      const { rows } = await sql`
        with gone as (delete from client where id = ${id} returning id)
        ${auditEntry(clock, { type: 'client.deleted', clientId: sql`id` }, sql`from gone`)}`.execute(
        db,
      )
      return rows.length > 0
    },
  }
}

function assertNotBuiltIn(id: string): void {
  if (isBuiltIn(id)) {
    throw new Refusal('reserved_id', 400, `The client ${id} would be part of this service itself.`)
  }
}

function summary(row: ClientRow): ClientSummary {
  const metadata = storedMetadata.parse(row.client_metadata)
  return {
    client_id: row.client_id,
    name: row.client_name,
    redirect_uris: metadata.redirect_uris,
    post_logout_redirect_uris: metadata.post_logout_redirect_uris,
    grant_types: metadata.grant_types,
    public: metadata.token_endpoint_auth_method === 'none',
    first_party: row.client_first_party,
    second_factor: row.client_second_factor,
    scope: metadata.scope ?? null,
    introspects: metadata.introspects,
  }
}
