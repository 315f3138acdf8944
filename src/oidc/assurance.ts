import { z } from 'zod'
import { ACR } from './acr.ts'

/** What a client's registration says of the second factor, or what the provider says for those that don't. */
export type Floor = 'required' | 'optional'

type Params = Readonly<Record<string, unknown>>

const acrClaim = z.object({
  essential: z.unknown().optional(),
  value: z.unknown().optional(),
  values: z.unknown().optional(),
})
const withAcr = z.object({ id_token: z.object({ acr: acrClaim }) })

interface AcrClaim {
  essential: boolean
  wanted: readonly unknown[]
}

/**
 * The `acr` asked for in `claims`, as it was sent: the provider puts `acr_values` in its place, and what was
 * essential would be no more. The provider has refused `claims` that are no JSON.
 */
function acrClaimOf({ claims }: Params): AcrClaim {
  const parsed = withAcr.safeParse(typeof claims === 'string' ? JSON.parse(claims) : undefined)
  const { essential, value, values } = parsed.data?.id_token.acr ?? {}
  const wanted = Array.isArray(values) ? values : value === undefined ? [] : [value]
  return { essential: essential === true, wanted }
}

const REACHABLE: readonly unknown[] = Object.values(ACR)

/** Whether the level a request would like best, of those there are, is the second factor's. */
function prefersSecondFactor(params: Params): boolean {
  const { acr_values: listed } = params
  const wanted = [
    ...acrClaimOf(params).wanted,
    ...(typeof listed === 'string' ? listed.split(' ') : []),
  ]
  return wanted.find((value) => REACHABLE.includes(value)) === ACR.secondFactor
}

/** Whether a request is worth nothing to its client without the second factor. */
export function insistsOnSecondFactor(params: Params): boolean {
  const { essential, wanted } = acrClaimOf(params)
  return essential && wanted.includes(ACR.secondFactor) && !wanted.includes(ACR.password)
}

export interface SecondFactorAsked {
  /** the sign-in must have a second factor: whoever has none enrols one or gets no further */
  required: boolean
  /** the request would rather have one: whoever has none enrols one where that is possible (OIDC-16) */
  wished: boolean
  /** this client or this request asks for it to be shown now: a remembered browser doesn't do */
  explicit: boolean
}

/**
 * What an authorization request wants of the second factor. A request can ask for more than its client's
 * floor, never for less.
 *
 * @param params the request's parameters, as an interaction keeps them
 * @param floor what the client's registration says, if it does
 * @param byDefault for clients that don't say
 */
export function secondFactorAsked(
  params: Params,
  floor: Floor | null,
  byDefault: Floor,
): SecondFactorAsked {
  const wished = prefersSecondFactor(params)
  const prompts = typeof params.prompt === 'string' ? params.prompt.split(' ') : []
  return {
    required: (floor ?? byDefault) === 'required' || insistsOnSecondFactor(params),
    wished,
    explicit:
      floor === 'required' ||
      wished ||
      insistsOnSecondFactor(params) ||
      params.max_age !== undefined ||
      prompts.includes('login'),
  }
}

/** What is known of a sign-in by a password alone. Each question is asked only where its answer matters. */
export interface PasswordAlone {
  /** whether it was done for this very request, by pages that asked for all there is */
  fresh: boolean
  /** whether people add their first factor themselves */
  selfEnrolment: boolean
  /** whether the browser is remembered */
  isTrusted: () => Promise<boolean>
  /** whether the account has a second factor by now */
  isEnrolled: () => Promise<boolean>
}

/**
 * Whether a sign-in by a password alone isn't enough. It was done in a remembered browser, or by someone who
 * had no second factor. Where the request asks for one to be shown now, a remembered browser doesn't do; where
 * it is only the rule of the house, it does, as long as it is remembered (TRD-05). Whoever has one is asked for
 * it whatever the policy (CHL-15), and leaving out the cookie of a remembered browser spares nobody that.
 */
export async function isSecondFactorDue(
  { required, wished, explicit }: SecondFactorAsked,
  { fresh, selfEnrolment, isTrusted, isEnrolled }: PasswordAlone,
): Promise<boolean> {
  if (required) return explicit || !(await isTrusted())
  // The pages asked for what there is, and there was nothing: asking again would go round in circles.
  if (fresh) return false
  if (wished && selfEnrolment) return true
  return (await isEnrolled()) && (explicit || !(await isTrusted()))
}

/**
 * Whether an essential `acr` is one that no sign-in gives, or that the sign-in just done did not give
 * (OpenID Connect Core 5.5.1.1; asking again would go round in circles).
 *
 * @param reached level of the sign-in that this request has led to, if it has
 */
export function isOutOfReach(params: Params, reached: string | undefined): boolean {
  const { essential, wanted } = acrClaimOf(params)
  if (!essential || wanted.length === 0) return false
  if (!wanted.some((value) => REACHABLE.includes(value))) return true
  return reached !== undefined && !wanted.includes(reached)
}

/** The reason our policy gives for a login. */
export const SECOND_FACTOR_DUE = 'second_factor_due'

/** Reasons of the provider that come with ours, and that a second factor settles too. */
const SETTLED_BY_IT = new Set([SECOND_FACTOR_DUE, 'essential_acr', 'essential_acrs'])

/** What `missingOnlySecondFactor` looks at of an interaction. */
interface Asked {
  prompt: { name: string; reasons: readonly string[] }
  session?: { accountId?: string | undefined; acr?: string | undefined } | undefined
}

/**
 * Step-up: the account of a session that a password began and that lacks nothing but the second factor.
 * Undefined when the whole sign-in is due: for `prompt=login`, past `max_age`, for someone else.
 */
export function missingOnlySecondFactor({ prompt, session }: Asked): string | undefined {
  const { name, reasons } = prompt
  const only =
    name === 'login' &&
    reasons.includes(SECOND_FACTOR_DUE) &&
    reasons.every((reason) => SETTLED_BY_IT.has(reason))
  return only && session?.acr === ACR.password ? session.accountId : undefined
}
