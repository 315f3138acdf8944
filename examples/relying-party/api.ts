import * as client from 'openid-client'

/** What this app can ask of the API in `../protected-api`. */
const CALLS = {
  balance: { method: 'GET', path: '/balance' },
  transfers: { method: 'POST', path: '/transfers' },
} as const

export type Call = keyof typeof CALLS

export function isCall(name: string | undefined): name is Call {
  return name !== undefined && Object.hasOwn(CALLS, name)
}

/** What an authorization request must ask for, so that the API is content with its token. */
export interface Needed {
  acr_values?: string
  max_age?: string
}

export type Answer =
  | { outcome: 'answered'; text: string }
  /** the token won't do: a sign-in that gives this is due (RFC 9470; for a token that has expired, any will do) */
  | { outcome: 'needs'; error: string; needed: Needed }

/** Calls the API in the name of the person behind the token. */
export async function callApi(
  configuration: client.Configuration,
  apiUrl: string,
  accessToken: string,
  call: Call,
): Promise<Answer> {
  const { method, path } = CALLS[call]
  try {
    const target = new URL(path, apiUrl)
    const response = await client.fetchProtectedResource(configuration, accessToken, target, method)
    return { outcome: 'answered', text: `${response.status} ${await response.text()}` }
  } catch (error) {
    if (!(error instanceof client.WWWAuthenticateChallengeError)) throw error
    const bearer = error.cause.find(({ scheme }) => scheme === 'bearer')
    const { error: code = 'no reason given', acr_values, max_age } = bearer?.parameters ?? {}
    return {
      outcome: 'needs',
      error: code,
      needed: { ...(acr_values && { acr_values }), ...(max_age && { max_age }) },
    }
  }
}
