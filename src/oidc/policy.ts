import { errors, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import { ACR, asksForSecondFactor } from './acr.ts'

const { Check, base } = interactionPolicy

/** What the policy asks of a client's registration. */
export interface ClientPolicy {
  /** trusted so far that nobody is asked for consent */
  isFirstParty(clientId: string): boolean
  /** whether a session of a password alone isn't enough for it */
  needsSecondFactor(clientId: string): boolean
}

/** When the hosted pages are due: the provider's own rules, and ours. */
export function createPolicy(clients: ClientPolicy): interactionPolicy.DefaultPolicy {
  const policy = base()
  const login = policy.get('login')
  const consent = policy.get('consent')

  login?.checks.add(
    new Check('claims_too_deep', 'the requested claims are nested too deeply', ({ oidc }) => {
      if (depthOf(oidc.params?.claims) > DEEPEST_CLAIMS) {
        throw new errors.InvalidRequest('claims are nested too deeply')
      }
      return Check.NO_NEED_TO_PROMPT
    }),
    0,
  )
  login?.checks.add(
    new Check('acr_out_of_reach', 'the requested authentication level can’t be reached', (ctx) => {
      if (isOutOfReach(ctx)) {
        throw new errors.UnmetAuthenticationRequirements('the requested acr can’t be reached')
      }
      return Check.NO_NEED_TO_PROMPT
    }),
    0,
  )
  login?.checks.add(
    new Check('account_gone', 'the account can’t sign in any more', 'login_required', ({ oidc }) =>
      due(oidc.session?.accountId !== undefined && !oidc.account),
    ),
  )
  login?.checks.add(
    new Check(
      'second_factor_due',
      'the client or its request asks for a second factor',
      'login_required',
      ({ oidc }) =>
        due(
          oidc.acr !== ACR.secondFactor &&
            (asksForSecondFactor(oidc.params?.acr_values) ||
              clients.needsSecondFactor(oidc.client?.clientId ?? '')),
        ),
    ),
  )
  consent?.checks.remove('native_client_prompt')
  consent?.checks.add(
    // Another app may sit behind a native app's redirect (RFC 8252 section 8.6), so each time is asked anew.
    new Check(
      'native_client_prompt',
      'native clients require End-User interaction',
      'interaction_required',
      ({ oidc }) => {
        const native = oidc.client?.applicationType === 'native'
        return due(
          native && !oidc.result?.consent && !clients.isFirstParty(oidc.client?.clientId ?? ''),
        )
      },
    ),
    0,
  )
  return policy
}

/** What OpenID Connect Core 5.5 asks for has three levels; values may have a few of their own. */
const DEEPEST_CLAIMS = 20

/** How deep a JSON text is nested at most, without parsing it. */
function depthOf(json: unknown): number {
  let depth = 0
  let deepest = 0
  const bare = typeof json === 'string' ? json.replace(/"(?:\\.|[^"\\])*"/g, '') : ''
  for (const letter of bare) {
    if (letter === '[' || letter === '{') deepest = Math.max(deepest, ++depth)
    else if (letter === ']' || letter === '}') depth--
  }
  return deepest
}

function due(condition: boolean): boolean {
  return condition ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT
}

/**
 * An essential `acr` that no sign-in gives, or that the sign-in just done did not give
 * (OpenID Connect Core 5.5.1.1; asking again would go round in circles).
 */
function isOutOfReach({ oidc }: KoaContextWithOIDC): boolean {
  const acr = oidc.claims?.id_token?.acr
  if (!acr?.essential) return false
  const wanted = Array.isArray(acr.values) ? acr.values : acr.value === undefined ? [] : [acr.value]
  if (wanted.length === 0) return false
  const reachable: readonly unknown[] = Object.values(ACR)
  if (!wanted.some((value) => reachable.includes(value))) return true
  return oidc.result?.login !== undefined && !wanted.includes(oidc.acr)
}
