import { errors, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import { ACR } from './acr.ts'
import { guarded } from './adapter.ts'
import {
  type Floor,
  isOutOfReach,
  isSecondFactorDue,
  SECOND_FACTOR_DUE,
  secondFactorAsked,
} from './assurance.ts'
import { isSomeoneElse } from './whose.ts'

const { Check, base } = interactionPolicy

/** Whether this browser is one that the account's owner has had remembered. */
export type IsTrusted = (ctx: KoaContextWithOIDC, accountId: string) => Promise<boolean>

interface Dependencies {
  /** whether a client is trusted so far that nobody is asked for consent */
  isFirstParty(clientId: string): boolean
  /** what a client's registration says of the second factor */
  floorOf(clientId: string): Floor | null
  /** for clients that don't say */
  secondFactor: Floor
  /** whether people add their first factor themselves */
  selfEnrolment: boolean
  /** undefined while no browser is remembered at all */
  isTrusted: IsTrusted | undefined
  /** whether an account has a second factor */
  isEnrolled(accountId: string): Promise<boolean>
}

/** When the hosted pages are due: the provider's own rules, and ours. */
export function createPolicy(deps: Dependencies): interactionPolicy.DefaultPolicy {
  const { isFirstParty, floorOf, secondFactor, selfEnrolment, isTrusted, isEnrolled } = deps

  async function asksForMore(ctx: KoaContextWithOIDC): Promise<boolean> {
    const { params = {}, client, session, result, acr } = ctx.oidc
    const accountId = session?.accountId
    if (!client || !accountId || acr === ACR.secondFactor) return false
    const asked = secondFactorAsked(params, floorOf(client.clientId), secondFactor)
    return guarded(() =>
      isSecondFactorDue(asked, {
        fresh: result?.login !== undefined,
        selfEnrolment,
        isTrusted: async () => (await isTrusted?.(ctx, accountId)) ?? false,
        isEnrolled: () => isEnrolled(accountId),
      }),
    )
  }

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
    new Check('acr_out_of_reach', 'the requested acr cannot be reached', ({ oidc }) => {
      if (isOutOfReach(oidc.params ?? {}, oidc.result?.login && (oidc.acr ?? ''))) {
        throw new errors.UnmetAuthenticationRequirements('the requested acr cannot be reached')
      }
      return Check.NO_NEED_TO_PROMPT
    }),
    0,
  )
  login?.checks.add(
    // Asked once more, they would go round in circles, and be texted each time.
    new Check('someone_else', 'someone else signed in', async (ctx) => {
      if (ctx.oidc.result?.login && (await isSomeoneElse(ctx))) {
        throw new errors.LoginRequired('someone else signed in than was asked for')
      }
      return Check.NO_NEED_TO_PROMPT
    }),
    0,
  )
  login?.checks.add(
    new Check(
      'account_gone',
      'the account may not sign in any more',
      'login_required',
      ({ oidc }) => due(oidc.session?.accountId !== undefined && !oidc.account),
    ),
  )
  login?.checks.add(
    new Check(
      SECOND_FACTOR_DUE,
      'the client or its request asks for a second factor',
      'login_required',
      async (ctx) => due(await asksForMore(ctx)),
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
        return due(native && !oidc.result?.consent && !isFirstParty(oidc.client?.clientId ?? ''))
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
