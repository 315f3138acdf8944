export const MINUTE = 60
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** How long keys and discovery may be kept by whoever read them: short, so that a new signing key is soon seen. */
export const PUBLIC_SECONDS = 5 * MINUTE

/** A session ends this long after the sign-in whatever happens (SES-04; NIST SP 800-63B-4, AAL2). */
export const SESSION_AT_MOST = DAY

/** A session ends when it isn't used for this long. */
const SESSION_IDLE = 12 * HOUR

/** Lives in seconds, every one chosen. */
export const TTL = {
  /** long enough to read a text twice, short enough that a forgotten tab is nothing */
  Interaction: 15 * MINUTE,
  AuthorizationCode: MINUTE,
  /** long enough to find a phone, and sign in on it for the first time */
  DeviceCode: 10 * MINUTE,
  IdToken: 15 * MINUTE,
  AccessToken: accessTokenSeconds,
  ClientCredentials: accessTokenSeconds,
  Session: sessionSeconds,
  RefreshToken: 14 * DAY,
  Grant: 14 * DAY,
}

/** What is left of a session's life; the provider asks each time it is used. */
function sessionSeconds(_ctx: unknown, { loginTs }: { loginTs?: number | undefined }): number {
  // Nobody is signed in: it only holds the token of a form, and anybody may have as many as they like.
  if (loginTs === undefined) return TTL.Interaction
  const left = loginTs + SESSION_AT_MOST - Math.floor(Date.now() / 1000)
  return Math.max(1, Math.min(SESSION_IDLE, left))
}

/** What an API's registration says of its own tokens. */
function accessTokenSeconds(
  _ctx: unknown,
  { resourceServer }: { resourceServer?: { accessTokenTTL?: number | undefined } | undefined },
): number {
  return resourceServer?.accessTokenTTL ?? 15 * MINUTE
}
