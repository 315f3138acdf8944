import type { Account as ProviderAccount } from 'oidc-provider'
import type { Account } from '../accounts/accounts.ts'

/** Scopes that tell of a person, or go on doing so; a client may ask for all of them unless its registration says which. */
export const PERSON_SCOPES = ['openid', 'profile', 'email', 'phone', 'offline_access'] as const

/** Scopes of the admin REST API; a client may ask for those that its registration names. */
export const ADMIN_SCOPES = ['admin:read', 'admin:write'] as const

export function isAdminScope(scope: string): boolean {
  return ADMIN_SCOPES.some((one) => one === scope)
}

export const SCOPES = [...PERSON_SCOPES, ...ADMIN_SCOPES] as const

/** Which claims each scope gives (OpenID Connect Core 5.4); `openid` carries how the person was authenticated. */
export const CLAIMS = {
  openid: ['sub', 'acr', 'amr', 'auth_time'],
  profile: ['name', 'preferred_username'],
  email: ['email', 'email_verified'],
  phone: ['phone_number', 'phone_number_verified'],
}

/** Claims about the sign-in itself, which every client hears. */
const ALWAYS = new Set([...CLAIMS.openid, 'sid', 'iss'])

/**
 * Claims a client asked for by name, parted by what its registration lets it have: a claim belongs to its
 * scope, however it is asked for.
 * @param scope scopes the client may ask for; none when undefined
 */
export function partClaims(
  scope: string | undefined,
  claims: Iterable<string>,
): { allowed: string[]; refused: string[] } {
  const scopes = new Set(scope?.split(' '))
  const reachable = new Set(
    Object.entries(CLAIMS).flatMap(([name, own]) => (scopes.has(name) ? own : [])),
  )
  const { allowed = [], refused = [] } = Object.groupBy(claims, (claim) =>
    ALWAYS.has(claim) || reachable.has(claim) ? 'allowed' : 'refused',
  )
  return { allowed, refused }
}

/** Finds an account's primary phone for the `phone` scope. */
export type PhoneOf = (
  accountId: string,
) => Promise<{ number: string; verified: boolean } | undefined>

/** An account as the provider wants it: its id, and its claims when they are asked for. */
export function toProviderAccount(account: Account, phoneOf: PhoneOf): ProviderAccount {
  return {
    accountId: account.id,
    async claims(_use, scope, asked) {
      const wanted =
        scope.split(' ').includes('phone') || CLAIMS.phone.some((name) => name in asked)
      const phone = wanted ? await phoneOf(account.id) : undefined
      return {
        sub: account.id,
        preferred_username: account.username,
        ...(account.name !== null && { name: account.name }),
        ...(account.email !== null && {
          email: account.email,
          email_verified: account.emailVerified,
        }),
        ...(phone && { phone_number: phone.number, phone_number_verified: phone.verified }),
      }
    },
  }
}
