export const MINUTE = 60
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** How long keys and discovery may be kept by whoever read them: short, so that a new signing key is soon seen. */
export const PUBLIC_SECONDS = 5 * MINUTE

/** A session ends this long after the sign-in whatever happens (SES-04; NIST SP 800-63B-4, AAL2). */
export const SESSION_AT_MOST = DAY
