import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { ROLES } from '../../accounts/account.ts'
import type { Account, Accounts } from '../../accounts/accounts.ts'
import { FRESH_SECONDS, type FreshnessOf } from '../../admin/freshness.ts'
import type { Actor } from '../../admin/permissions.ts'
import { Refusal } from '../../errors.ts'
import { ACR } from '../../oidc/acr.ts'
import type { UnitsOfWork } from '../../oidc/unit-of-work.ts'

const READ = 'admin:read'
const WRITE = 'admin:write'

interface Dependencies {
  provider: Provider
  units: UnitsOfWork
  accounts: Accounts
  freshnessOf: FreshnessOf
}

/**
 * Whose token a request brings, and what it may do with it: a client's own token by its scope; a person's by their
 * role, as long as their second factor is fresh (ADM-01).
 */
export function createBearer({ provider, units, accounts, freshnessOf }: Dependencies) {
  /** The account behind a person's token, if everything it rests on is still there. */
  async function personOf(token: string) {
    const found = await provider.AccessToken.find(token)
    // Bound to a key, it is no bearer token, and this takes no proofs (RFC 9449 section 7.2).
    if (!found?.isValid || !found.accountId || found.jkt) return undefined
    const { accountId, grantId, sessionUid, extra, clientId, scope } = found
    const grant = grantId ? await provider.Grant.find(grantId) : undefined
    if (!grant || grant.accountId !== accountId) return undefined
    if (found.expiresWithSession) {
      const session = sessionUid ? await provider.Session.findByUid(sessionUid) : undefined
      if (session?.accountId !== accountId) return undefined
    }
    const account = units.current().accounts.get(accountId) ?? (await accounts.findById(accountId))
    if (!account || account.disabled) return undefined
    return { account, clientId, scope, extra }
  }

  /** The scopes that a token has and its client is still registered for; undefined without the client. */
  async function scopesOf(clientId: string | undefined, scope: string | undefined) {
    const client = clientId ? await provider.Client.find(clientId) : undefined
    if (!client) return undefined
    const registered = new Set(client.scope?.split(' '))
    return new Set(scope?.split(' ').filter((one) => registered.has(one)))
  }

  /** What a token lets its bearer do; nothing without one of our scopes. */
  function assertScope(ctx: Context, scopes: ReadonlySet<string>): void {
    const reads = ctx.method === 'GET' || ctx.method === 'HEAD'
    if (scopes.has(WRITE) || (reads && scopes.has(READ))) return
    const needed = reads ? READ : WRITE
    ctx.set('WWW-Authenticate', `Bearer error="insufficient_scope", scope="${needed}"`)
    throw new Refusal('insufficient_scope', 403, `The token needs the scope ${needed}.`)
  }

  /** RFC 9470: the sign-in behind the token isn't as strong or as fresh as it must be. */
  async function assertFresh(
    ctx: Context,
    accountId: string,
    extra: Record<string, unknown> | undefined,
  ) {
    const { acr, auth_time: at } = extra ?? {}
    const proven = acr === ACR.secondFactor && typeof at === 'number'
    if (proven && (await freshnessOf(accountId, at)) === 'fresh') return
    ctx.set(
      'WWW-Authenticate',
      `Bearer error="insufficient_user_authentication", acr_values="${ACR.secondFactor}", max_age="${FRESH_SECONDS}"`,
    )
    throw new Refusal(
      'insufficient_user_authentication',
      401,
      `Sign in again: this takes a second factor of one's own, shown within the last ${FRESH_SECONDS / 60} minutes.`,
    )
  }

  function actorOf({ id, role }: Account, scopes: ReadonlySet<string>): Actor {
    const known = ROLES.find((one) => one === role)
    if (!known) {
      throw new Refusal('forbidden', 403, 'This account has no role. An admin can give it one.')
    }
    return { kind: 'person', id, role: scopes.has(WRITE) ? known : 'auditor' }
  }

  return async (ctx: Context): Promise<Actor> => {
    const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(ctx.get('Authorization')) ?? []
    if (token === undefined) throw missing(ctx, provider)
    const person = await personOf(token)
    if (person) {
      const scopes = await scopesOf(person.clientId, person.scope)
      if (!scopes) throw invalid(ctx)
      assertScope(ctx, scopes)
      const actor = actorOf(person.account, scopes)
      await assertFresh(ctx, person.account.id, person.extra)
      return actor
    }
    const own = await provider.ClientCredentials.find(token)
    if (!own?.isValid || !own.clientId || own.jkt) throw invalid(ctx)
    const scopes = await scopesOf(own.clientId, own.scope)
    if (!scopes) throw invalid(ctx)
    assertScope(ctx, scopes)
    return { kind: 'client', id: own.clientId, role: scopes.has(WRITE) ? 'admin' : 'auditor' }
  }
}

/** No token. A browser's cookies open nothing here, whoever they are of (SECURITY.md input 100). */
function missing(ctx: Context, provider: Provider): Refusal {
  if (ctx.get('Authorization') === '' && ctx.cookies.get(provider.cookieName('session'))) {
    return new Refusal(
      'bearer_required',
      403,
      'A browser’s cookies count for nothing here. Send a bearer token.',
    )
  }
  ctx.set('WWW-Authenticate', 'Bearer realm="sallyport"')
  return new Refusal(
    'bearer_required',
    401,
    'Send a bearer token with the scope admin:read or admin:write.',
  )
}

function invalid(ctx: Context): Refusal {
  ctx.set('WWW-Authenticate', 'Bearer error="invalid_token"')
  return new Refusal('invalid_token', 401, 'The token is not one of ours, or has ended.')
}
