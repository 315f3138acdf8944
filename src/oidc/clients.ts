import { type RawBuilder, sql } from 'kysely'
import type { AdapterPayload } from 'oidc-provider'
import { z } from 'zod'
import { auditEntry } from '../audit/event.ts'
import type { Vault } from '../crypto/vault.ts'
import type { Clock } from '../db/clock.ts'
import { gathered } from '../db/gathered.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { keepApart, recordsOf } from './apart.ts'
import { assertOffered } from './apis.ts'
import { assertNotBuiltIn, BUILT_IN } from './built-in.ts'
import { createClientChanges } from './client-changes.ts'
import {
  type ClientRow,
  type ClientSummary,
  clientColumns,
  metadataOf,
  metadataText,
  summaryColumns,
  summaryOf,
} from './client-rows.ts'
import { createClientSecrets } from './client-secrets.ts'
import { endGiven } from './given.ts'
import { assertLogoutUri } from './logout-uris.ts'
import {
  assertSensible,
  hasKeys,
  type NewClient,
  newClient,
  type Registration,
  type RegistrationRules,
} from './new-client.ts'
import { withSector } from './sectors.ts'

export type { ClientSummary, NewClient }
export type Clients = ReturnType<typeof createClients>

/** A client that is part of Sallyport. */
interface BuiltInClient {
  id: string
  name: string
  redirectUri: string
  postLogoutRedirectUri: string
  /** whether nobody gets in without a second factor, whatever the rule of the house */
  secondFactor?: 'required'
}

interface Dependencies {
  db: Db
  clock: Clock
  vault: Vault
  rules: RegistrationRules
}

/** Registered relying parties. */
export function createClients({ db, clock, vault, rules }: Dependencies) {
  const secrets = createClientSecrets({ db, clock, vault })
  const changes = createClientChanges({ db, clock, rules })

  const rowOf = gathered(db, 'text', (id: RawBuilder<string>) =>
    db.selectFrom('client as c').select(clientColumns(clock)).where('c.id', '=', id).limit(1),
  )

  const read = new WeakMap<ClientRow, ReturnType<typeof metadataOf>>()

  /** A request asks several questions of the row that it has read. */
  function registered(row: ClientRow): ReturnType<typeof metadataOf> {
    const known = read.get(row) ?? metadataOf(row)
    read.set(row, known)
    return known
  }

  async function findRow(id: string): Promise<ClientRow | undefined> {
    // A NUL can't be stored, so no client has one; PostgreSQL would answer with an error.
    if (id.includes('\0')) return undefined
    return rowOf(id)
  }

  async function insert(
    on: Db,
    client: Registration,
    secret: Buffer | null,
    registeredBy: string | null = null,
  ): Promise<void> {
    const inserted = await on
      .insertInto('client')
      .values({
        id: client.id,
        name: client.name,
        secret,
        metadata: metadataText(client),
        first_party: client.firstParty,
        second_factor: client.secondFactor,
        created_at: clock(),
        updated_at: clock(),
        registered_by: registeredBy,
      })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .returning('id')
      .executeTakeFirst()
    if (!inserted)
      throw new Refusal('client_exists', 409, `There is a client ${client.id} already.`)
  }

  return {
    /**
     * Registers a client.
     * @returns its secret, readable only now; undefined for a client that is public or has keys
     * @throws Refusal naming what is wrong
     */
    async create(input: NewClient): Promise<{ id: string; secret: string | undefined }> {
      const parsed = newClient.safeParse(input)
      if (!parsed.success) throw new Refusal('client', 400, z.prettifyError(parsed.error))
      const client = withSector(parsed.data, parsed.data.sector)
      assertNotBuiltIn(client.id)
      assertSensible(client, rules)
      await assertLogoutUri(client.backchannelLogoutUri, rules.checkTarget)
      const made = client.public || hasKeys(client) ? undefined : secrets.make(client.id)
      await db.transaction().execute(async (trx) => {
        await assertOffered(trx, client.apiScopes)
        await insert(trx, client, made?.sealed ?? null)
        await auditEntry(clock, { type: 'client.created', clientId: client.id }).execute(trx)
      })
      return { id: client.id, secret: made?.secret }
    },

    /**
     * Stores a client that registers itself, and was judged.
     * @param secret its own, if it has one
     * @param spend uses up the token that lets it, and tells its id
     */
    async register(
      client: Registration,
      secret: string | undefined,
      spend: (on: Db) => Promise<string>,
    ): Promise<void> {
      const { id } = client
      await db.transaction().execute(async (trx) => {
        const token = await spend(trx)
        await insert(trx, client, secret === undefined ? null : secrets.seal(id, secret), token)
        const event = { type: 'client.registered', clientId: id, detail: { token } } as const
        await auditEntry(clock, event).execute(trx)
      })
    },

    /**
     * Makes sure of a client that is part of Sallyport, as it is to be now: public, first-party, for codes alone.
     */
    async ensureBuiltIn({ id, name, secondFactor, ...app }: BuiltInClient) {
      const client = newClient.parse({
        id,
        public: true,
        redirectUris: [app.redirectUri],
        postLogoutRedirectUris: [app.postLogoutRedirectUri],
        firstParty: true,
        scope: ['openid'],
      })
      const values = {
        name,
        metadata: metadataText(client),
        first_party: true,
        second_factor: secondFactor ?? null,
      }
      await db
        .insertInto('client')
        .values({ id, ...values })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
        .execute()
    },

    patch: changes.patch,
    patchItself: changes.patchItself,
    rotateSecret: secrets.rotate,
    isSecret: secrets.isRight,
    sweep: secrets.sweep,
    findRow,

    /** A client in the provider's words, its secret opened. */
    metadataOf(row: ClientRow): AdapterPayload {
      const secret = secrets.open(row)
      return {
        ...registered(row).metadata,
        client_id: row.client_id,
        ...(row.client_name !== null && { client_name: row.client_name }),
        ...(secret && { client_secret: secret, client_secret_expires_at: 0 }),
      }
    },

    /** The scopes a client may ask for. */
    scopeOf: (row: ClientRow): string => registered(row).metadata.scope,

    /** The scopes of APIs that a client may ask for. */
    apiScopesOf: (row: ClientRow): readonly string[] => registered(row).apiScopes,

    /** The apps whose access tokens a client may introspect, beside its own. */
    introspectedBy: (row: ClientRow): readonly string[] => registered(row).introspects,

    /** Whether a client's requests must have a code challenge. */
    needsPkce: (row: ClientRow): boolean => registered(row).pkce === 'required',

    /**
     * Registered clients by id, without those that are part of Sallyport.
     * @param after the id that the page before ended with
     */
    async list({
      after = '',
      limit,
    }: {
      after?: string
      limit?: number
    } = {}): Promise<ClientSummary[]> {
      const found = db
        .selectFrom('client')
        .select(summaryColumns(clock))
        .where('id', '>', after)
        .where('id', 'not like', `${BUILT_IN}%`)
        .orderBy('id')
      const rows = await (limit === undefined ? found : found.limit(limit)).execute()
      return rows.map(summaryOf)
    },

    async show(id: string): Promise<ClientSummary | undefined> {
      if (id.includes('\0')) return undefined
      const row = await db
        .selectFrom('client')
        .select(summaryColumns(clock))
        .where('id', '=', id)
        .executeTakeFirst()
      return row && summaryOf(row)
    },

    /**
     * Removes a client with all that it was given, so that one of the same id that comes later inherits nothing.
     * @returns whether there was such a client
     * @throws Refusal for one that is part of Sallyport
     */
    async remove(id: string): Promise<boolean> {
      assertNotBuiltIn(id)
      return db.transaction().execute(async (trx) => {
        await keepApart(trx, recordsOf.client(id))
        const { rows } = await sql`
          with gone as (delete from client where id = ${id} returning id),
          untold as (delete from logout_delivery where client_id = ${id})
          ${auditEntry(clock, { type: 'client.deleted', clientId: sql`id` }, sql`from gone`)}`.execute(
          trx,
        )
        if (rows.length === 0) return false
        await endGiven(trx, id, { managing: true })
        return true
      })
    },
  }
}
