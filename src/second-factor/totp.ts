import { Secret, TOTP } from 'otpauth'

/** What an app must be told once. */
export interface TotpKey {
  /** base32, to type in by hand */
  secret: string
  /** `otpauth://…`, to show as a QR code */
  uri: string
}

const PERIOD_SECONDS = 30
/** More would make a QR code too fine to be read. */
const LONGEST_LABEL = 40

/** Number of the 30 seconds that a time falls in (RFC 6238 section 4.2). */
export function totpStep(atSeconds: number): number {
  return Math.floor(atSeconds / PERIOD_SECONDS)
}

/** The code of a step: HMAC-SHA-1, which every app knows. */
export function totp(secret: Buffer, step: number, digits: number): string {
  return TOTP.generate({
    secret: toSecret(secret),
    algorithm: 'SHA1',
    digits,
    period: PERIOD_SECONDS,
    timestamp: step * PERIOD_SECONDS * 1000,
  })
}

export function keyOf(secret: Buffer, issuer: string, username: string): TotpKey {
  const key = new TOTP({
    issuer: labelOf(issuer),
    label: labelOf(username),
    secret: toSecret(secret),
  })
  return { secret: key.secret.base32, uri: key.toString() }
}

/** A colon parts issuer and name in the URI, even when it is escaped, so neither may have one. */
function labelOf(text: string): string {
  return [...text.replaceAll(':', '-')].slice(0, LONGEST_LABEL).join('')
}

/** Copied, since a buffer may lie in the middle of a larger one. */
function toSecret(bytes: Buffer): Secret {
  return new Secret({ buffer: new Uint8Array(bytes).buffer })
}
