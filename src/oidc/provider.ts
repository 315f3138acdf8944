import type { JWK } from 'jose'
import type { Middleware } from 'koa'
import Provider, { type Configuration, type errors, type KoaContextWithOIDC } from 'oidc-provider'
import { z } from 'zod'
import type { Account, Accounts } from '../accounts/accounts.ts'
import { createCookieSignatures } from '../crypto/cookie-signatures.ts'
import { ACR } from './acr.ts'
import { createAdapter, guarded } from './adapter.ts'
import type { Apis } from './apis.ts'
import { assertClaims } from './asked-claims.ts'
import { assertAssertion } from './assertions.ts'
import type { Floor } from './assurance.ts'
import { CLAIMS, type PhoneOf, SCOPES, toProviderAccount } from './claims.ts'
import { PROOF_ALGORITHMS } from './client-keys.ts'
import type { ClientRow } from './client-rows.ts'
import type { Clients } from './clients.ts'
import { mayPageCall } from './cors.ts'
import { createDeviceFlow, type DevicePages } from './device-flow.ts'
import type { Devices } from './devices.ts'
import { type PlaceOf, recordEvents } from './events.ts'
import { loadGrant } from './grant.ts'
import { createIntrospectionPolicy, signInBehind } from './introspection.ts'
import { SIGNING_ALGORITHMS } from './key-making.ts'
import { PUBLIC_SECONDS, TTL } from './lives.ts'
import { createPolicy, type IsTrusted } from './policy.ts'
import { isByItself, type Registrations } from './registration.ts'
import type { Replays } from './replays.ts'
import { createResources } from './resources.ts'
import type { Subjects } from './subjects.ts'
import type { UnitsOfWork } from './unit-of-work.ts'

/** How much is read of a client's key set. */
const MOST_KEY_BYTES = 65_536

/** The pages the provider shows by itself, drawn elsewhere. */
export interface ProviderPages {
  /** those on which people connect a device */
  device: Omit<DevicePages, 'error'>
  error(
    ctx: KoaContextWithOIDC,
    out: { error: string; error_description?: string },
    error: Error | errors.OIDCProviderError,
  ): void
  /** @param form the provider's own form, with its token, as HTML */
  logout(ctx: KoaContextWithOIDC, form: string): void
  loggedOut(ctx: KoaContextWithOIDC): void
}

interface Dependencies {
  issuer: string
  cookieKeys: string[]
  signingKeys: JWK[]
  units: UnitsOfWork
  clients: Clients
  accounts: Accounts
  phoneOf: PhoneOf
  pages: ProviderPages
  /** for clients that don't say */
  secondFactor: Floor
  /** whether people add their first factor themselves */
  selfEnrolment: boolean
  /** left out while no browser is remembered */
  isTrusted?: IsTrusted
  /** whether an account has a second factor */
  isEnrolled(accountId: string): Promise<boolean>
  placeOf: PlaceOf
  apis: Apis
  replays: Replays
  devices: Devices
  registrations: Registrations
  subjects: Subjects
  /** guarded: it reaches nothing inside but what the operator trusts */
  fetch(url: string, init?: RequestInit): Promise<Response>
  /** the same for what clients say of themselves, for which the operator trusts other hosts, if any */
  fetchForRegistered(url: string, init?: RequestInit): Promise<Response>
  /** tags of the languages pages come in */
  languages: readonly string[]
}

/** node-oidc-provider with all its settings. */
export function createProvider(deps: Dependencies): Provider {
  const { issuer, units, clients, accounts } = deps
  const secure = issuer.startsWith('https:')
  const rowOf = (clientId: string) => units.current().clients.get(clientId)
  const isFirstParty = (clientId: string) => rowOf(clientId)?.client_first_party ?? false

  const needsPkce = (row: ClientRow | undefined) => row === undefined || clients.needsPkce(row)

  async function liveAccount(id: string): Promise<Account | undefined> {
    const account = units.current().accounts.get(id) ?? (await guarded(() => accounts.findById(id)))
    return account?.disabled ? undefined : account
  }

  const deviceFlow = createDeviceFlow({
    devices: deps.devices,
    units,
    pages: { ...deps.pages.device, error: deps.pages.error },
  })
  const configuration: Configuration = {
    adapter: createAdapter(units, clients, deviceFlow.requests, deps.registrations),
    jwks: { keys: deps.signingKeys },
    ttl: TTL,
    scopes: SCOPES,
    claims: CLAIMS,
    discovery: {
      ui_locales_supported: deps.languages,
      request_parameter_supported: false,
    },
    acrValues: Object.values(ACR),
    subjectTypes: ['public', 'pairwise'],
    pairwiseIdentifier: async (_ctx, accountId, { sectorIdentifier }) =>
      deps.subjects.of(accountId, z.string().min(1).parse(sectorIdentifier)),
    sectorIdentifierUriValidate: deps.registrations.isUnderWay,
    responseTypes: ['code'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    assertJwtClientAuthClaimsAndHeader: assertAssertion,
    enabledJWA: {
      idTokenSigningAlgValues: [...SIGNING_ALGORITHMS],
      clientAuthSigningAlgValues: [...PROOF_ALGORITHMS],
      dPoPSigningAlgValues: [...PROOF_ALGORITHMS],
    },
    // Everything the provider reads elsewhere goes this way, in the 2.5 seconds that it gives (OIDC-25).
    fetch(input, init) {
      const url = input instanceof Request ? input.url : String(input)
      const client = Provider.ctx?.oidc.client
      const byAdmin = client !== undefined && !isByItself(client.clientId)
      return byAdmin ? deps.fetch(url, init) : deps.fetchForRegistered(url, init)
    },
    fetchResponseBodyLimits: { jwks_uri: MOST_KEY_BYTES, sector_identifier_uri: MOST_KEY_BYTES },
    pkce: { required: (_ctx, { clientId }) => needsPkce(rowOf(clientId)) },
    rotateRefreshToken: true,
    // A client registered for refresh tokens gets them; whether they outlive the session is up to offline_access.
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    clientBasedCORS: mayPageCall,
    acceptQueryParamAccessTokens: false,
    allowOmittingSingleRegisteredRedirectUri: false,
    cookies: cookies(deps.cookieKeys, secure),
    features: {
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: false },
      claimsParameter: { enabled: true, assertClaimsParameter: assertClaims },
      clientCredentials: { enabled: true },
      deviceFlow: deviceFlow.feature,
      ...deps.registrations.features,
      // Without nonces: not every library can, and a proof counts once over all instances as it is.
      dPoP: { enabled: true },
      introspection: {
        enabled: true,
        allowedPolicy: createIntrospectionPolicy({
          introspectedBy(clientId) {
            const row = rowOf(clientId)
            return row ? clients.introspectedBy(row) : []
          },
          isAccountLive: async (id) => (await liveAccount(id)) !== undefined,
        }),
      },
      revocation: {
        enabled: true,
        // To whom a token isn't, it doesn't exist: that answers 200, too (RFC 7009 section 2.2).
        allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId,
      },
      pushedAuthorizationRequests: { enabled: true },
      // Unsigned, encrypted or by reference: none (OIDC-24).
      requestObjects: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: createResources({
          apis: deps.apis,
          apiScopesOf(clientId) {
            const row = rowOf(clientId)
            return row ? clients.apiScopesOf(row) : []
          },
        }),
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => deps.pages.logout(ctx, form),
        postLogoutSuccessSource: (ctx) => deps.pages.loggedOut(ctx),
      },
    },
    interactions: {
      policy: createPolicy({
        isFirstParty,
        floorOf: (clientId) => rowOf(clientId)?.client_second_factor ?? null,
        secondFactor: deps.secondFactor,
        selfEnrolment: deps.selfEnrolment,
        isTrusted: deps.isTrusted,
        isEnrolled: deps.isEnrolled,
      }),
      url: (_ctx, interaction) => `/interaction/${interaction.uid}`,
    },
    async findAccount(_ctx, sub) {
      const account = await liveAccount(sub)
      return account && toProviderAccount(account, (id) => guarded(() => deps.phoneOf(id)))
    },
    extraTokenClaims: signInBehind,
    loadExistingGrant: (ctx) => loadGrant(ctx, isFirstParty),
    renderError: (ctx, out, error) => deps.pages.error(ctx, out, error),
  }
  const provider = new Provider(issuer, configuration)
  // Every request reaches it with the issuer's host and scheme in its headers (web/front), never the visitor's own.
  provider.proxy = true
  // The provider knows one secret a client, and awaits this; after a rotation two are good for a while.
  provider.Client.prototype.compareClientSecret = function isRight(presented) {
    const row = rowOf(this.clientId)
    return row !== undefined && clients.isSecret(row, presented)
  }
  // The provider would look first and note then, which two instances can do at the same moment.
  provider.ReplayDetection.unique = (shownBy, id, until) =>
    guarded(() => deps.replays.isFirst(shownBy, id, until - Math.floor(Date.now() / 1000)))
  deviceFlow.tellInterval(provider)
  recordEvents(provider, units, deps.placeOf)
  return provider
}

/** Keys and discovery are for everybody and may be kept for a while; all else is `no-store`. */
export const cacheable: Middleware = async (ctx, next) => {
  await next()
  const isPublic = ctx.oidc?.route === 'jwks' || ctx.oidc?.route === 'discovery'
  if (isPublic && ctx.status === 200) ctx.set('Cache-Control', `public, max-age=${PUBLIC_SECONDS}`)
}

/** Names carry the prefixes that make browsers hold them to this host and to https (SES-02). */
function cookies(keys: readonly string[], secure: boolean): NonNullable<Configuration['cookies']> {
  const attributes = { signed: true, httpOnly: true, sameSite: 'lax', secure } as const
  return {
    keys: createCookieSignatures(keys),
    names: {
      session: `${secure ? '__Host-' : ''}sallyport_session`,
      interaction: `${secure ? '__Secure-' : ''}sallyport_interaction`,
      resume: `${secure ? '__Secure-' : ''}sallyport_resume`,
    },
    long: attributes,
    short: attributes,
  }
}
