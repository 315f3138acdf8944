/** Who is behind a token, and how and when they signed in. */
export interface SignIn {
  sub: string
  acr: string | undefined
  /** seconds since 1970 */
  authTime: number | undefined
}

/** What a request needs of the sign-in behind its token. */
export interface Need {
  acr?: string
  maxAgeSeconds?: number
}

/**
 * The challenge for a sign-in that is too weak or too old (RFC 9470), naming all that is needed, so that the
 * app can send the person back once and not twice. Undefined when it is good enough.
 *
 * @param now seconds since 1970
 */
export function insufficient(signIn: SignIn, need: Need, now: number): string | undefined {
  const { acr, maxAgeSeconds } = need
  const weak = acr !== undefined && signIn.acr !== acr
  const old = maxAgeSeconds !== undefined && now - (signIn.authTime ?? 0) > maxAgeSeconds
  if (!weak && !old) return undefined
  return challenge({
    error: 'insufficient_user_authentication',
    error_description: weak
      ? 'a stronger sign-in is needed for this'
      : 'a more recent sign-in is needed for this',
    ...(acr !== undefined && { acr_values: acr }),
    ...(maxAgeSeconds !== undefined && { max_age: String(maxAgeSeconds) }),
  })
}

/** A `WWW-Authenticate` header (RFC 6750 section 3). Its values are this API's own words, without quotes. */
export function challenge(parameters: Record<string, string>): string {
  const list = Object.entries(parameters).map(([name, value]) => `${name}="${value}"`)
  return ['Bearer', list.join(', ')].join(' ').trim()
}
