import { randomUUID } from 'node:crypto'
import Provider, {
  type AdapterPayload,
  type Configuration,
  errors,
  type KoaContextWithOIDC,
} from 'oidc-provider'
import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { hasForbiddenKey } from '../json-keys.ts'
import { PERSON_SCOPES } from './claims.ts'
import { publicKeys } from './client-keys.ts'
import { metadataText } from './client-rows.ts'
import type { Clients } from './clients.ts'
import { SIGNING_ALGORITHMS } from './key-making.ts'
import {
  assertSensible,
  newClient,
  type Registration,
  type RegistrationRules,
} from './new-client.ts'
import type { RegistrationTokens } from './registration-tokens.ts'
import { recordKey } from './sealed-records.ts'
import { withSector } from './sectors.ts'

export type Registrations = ReturnType<typeof createRegistration>

interface Dependencies {
  enabled: boolean
  clients: Clients
  tokens: RegistrationTokens
  rules: RegistrationRules
}

type Features = NonNullable<Configuration['features']>

/** Routes on which clients tell of themselves. */
const ROUTES = new Set<unknown>(['registration', 'client_update'])
const POLICY = 'as-an-admin'
const OWN = 'dyn-'

const text = z.string().max(2000)
const addresses = z.array(text).max(20)

/**
 * What a client may say of itself: less than an admin. No first party, no scopes of admin or of APIs, no grant but by
 * a browser; people are always asked. Whatever else is said isn't registered (RFC 7591 section 2), so no logo, policy
 * or other address is kept, shown or fetched.
 */
const told = z.object({
  client_id: z.string(),
  client_secret: z.string().optional(),
  client_name: z.string().optional(),
  redirect_uris: addresses,
  post_logout_redirect_uris: addresses.default([]),
  grant_types: z
    .array(z.enum(['authorization_code', 'refresh_token']))
    .default(['authorization_code']),
  response_types: z.array(z.literal('code')).default(['code']),
  token_endpoint_auth_method: z
    .enum(['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'])
    .default('client_secret_basic'),
  application_type: z.enum(['web', 'native']).optional(),
  scope: z
    .string()
    .transform((scope) => scope.split(' '))
    .pipe(z.array(z.enum(PERSON_SCOPES)))
    .optional(),
  jwks: publicKeys.optional(),
  jwks_uri: text.optional(),
  id_token_signed_response_alg: z.enum(SIGNING_ALGORITHMS).default('RS256'),
  require_pushed_authorization_requests: z.boolean().default(false),
  dpop_bound_access_tokens: z.boolean().default(false),
  subject_type: z.enum(['public', 'pairwise']).default('public'),
  sector_identifier_uri: text.optional(),
})
const KEPT = new Set([...told.keyof().options, 'client_id_issued_at', 'client_secret_expires_at'])

/** Clients that register and manage themselves (RFC 7591, RFC 7592), by the rules that hold for an admin's. */
export function createRegistration({ enabled, clients, tokens, rules }: Dependencies) {
  /** @throws InvalidClientMetadata naming what is wrong */
  function judged(metadata: Record<string, unknown>): Registration {
    const parsed = told.safeParse(metadata)
    if (!parsed.success) throw new errors.InvalidClientMetadata(z.prettifyError(parsed.error))
    const said = parsed.data
    const sector = said.sector_identifier_uri
    const problem = sector !== undefined && rules.judgeUrl(sector)
    if (problem) throw new errors.InvalidClientMetadata(`sector_identifier_uri ${problem}`)
    try {
      const client = newClient.safeParse({
        id: said.client_id,
        name: said.client_name ?? null,
        public: said.token_endpoint_auth_method === 'none',
        redirectUris: said.redirect_uris,
        postLogoutRedirectUris: said.post_logout_redirect_uris,
        grants: said.grant_types,
        scope: said.scope ?? null,
        jwks: said.jwks ?? null,
        jwksUri: said.jwks_uri ?? null,
        idTokenAlgorithm: said.id_token_signed_response_alg,
        requirePar: said.require_pushed_authorization_requests,
        requireDpop: said.dpop_bound_access_tokens,
        subjectType: said.subject_type,
        sector: sector === undefined ? null : (URL.parse(sector)?.host ?? null),
      })
      if (!client.success) throw new Refusal('client', 400, z.prettifyError(client.error))
      const registration = withSector(client.data, client.data.sector)
      assertSensible(registration, rules)
      return registration
    } catch (error) {
      throw inTheirWords(error)
    }
  }

  /** Judges what a client says before anything is fetched, and leaves of it what is registered. */
  function admit({ oidc }: KoaContextWithOIDC, metadata: Record<string, unknown>): void {
    // Looked for in what was sent: of `__proto__` only what it says is left in the other, as if inherited.
    if (hasForbiddenKey(oidc.body))
      throw new errors.InvalidRequest('no member may be called __proto__, constructor or prototype')
    const registration = judged(metadata)
    for (const name of Object.keys(metadata)) if (!KEPT.has(name)) delete metadata[name]
    const stored: Record<string, unknown> = JSON.parse(metadataText(registration))
    const { application_type, token_endpoint_auth_method, response_types } = stored
    Object.assign(metadata, { application_type, token_endpoint_auth_method, response_types })
  }

  const features: Pick<Features, 'registration' | 'registrationManagement'> = {
    registration: {
      enabled,
      initialAccessToken: true,
      idFactory: () => `${OWN}${randomUUID()}`,
      policies: { [POLICY]: admit },
    },
    registrationManagement: { enabled, rotateRegistrationAccessToken: true },
  }

  return {
    features,

    /** Whether what a client says of itself is being judged: only then is its sector looked up. */
    isUnderWay: () => ROUTES.has(Provider.ctx?.oidc.route),

    /** An initial access token, as the provider knows one. */
    async findToken(token: string): Promise<AdapterPayload | undefined> {
      const end = enabled ? await tokens.endOf(token) : undefined
      return (
        end && {
          jti: token,
          kind: 'InitialAccessToken',
          exp: Math.floor(end.getTime() / 1000),
          policies: [POLICY],
        }
      )
    },

    /** Stores what a client said of itself, which uses up its token, or what it says now. */
    async store(metadata: AdapterPayload): Promise<void> {
      const registration = judged(metadata)
      const { oidc } = Provider.ctx ?? {}
      if (oidc?.route === 'client_update') {
        // What only admins say stays as it is.
        const { id, public: isPublic, sector, ...own } = registration
        const { firstParty, secondFactor, introspects, apiScopes, ...said } = own
        if (isPublic !== (oidc.client?.clientAuthMethod === 'none'))
          throw new errors.InvalidClientMetadata('whether it has a secret can’t be changed')
        const managing = recordKey(
          'RegistrationAccessToken',
          z.string().parse(oidc.entities.RegistrationAccessToken?.jti),
        )
        return clients
          .patchItself(id, sector === null ? said : { ...said, sector }, managing)
          .catch((error: unknown) => {
            throw inTheirWords(error)
          })
      }
      const token = oidc?.entities.InitialAccessToken?.jti
      const { client_secret: secret } = metadata
      await clients.register(
        registration,
        typeof secret === 'string' ? secret : undefined,
        async (on) => {
          const spent = token && (await tokens.spend(on, token))
          if (!spent) throw new errors.InvalidToken('the initial access token is used up')
          return spent
        },
      )
    },

    async remove(id: string): Promise<void> {
      await clients.remove(id)
    },
  }
}

/** Whether a client registered itself, by its id. One that an admin named alike is trusted no more. */
export function isByItself(clientId: string): boolean {
  return clientId.startsWith(OWN)
}

/** A refusal of ours in the words of RFC 7591 section 3.2.2. */
function inTheirWords(error: unknown): unknown {
  if (!(error instanceof Refusal)) return error
  if (error.code === 'changed_meanwhile' || error.code === 'no_client')
    return new errors.InvalidToken('the registration was changed meanwhile')
  return error.code === 'redirect_uri'
    ? new errors.CustomOIDCProviderError('invalid_redirect_uri', error.message)
    : new errors.InvalidClientMetadata(error.message)
}
