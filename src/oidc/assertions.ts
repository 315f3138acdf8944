import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { HOUR } from './lives.ts'

/** Libraries make them good for a minute to an hour. */
const LONGEST = HOUR
const LONGEST_ID = 512

/**
 * What a client's assertion must be beyond what the provider looks at: for this issuer and nobody else, so that it is
 * worth nothing to another server that it was sent to (draft-ietf-oauth-rfc7523bis), and not good for ever.
 * @throws InvalidClientAuth, after which the client is told no more than `invalid_client`
 */
export function assertAssertion(
  { oidc }: KoaContextWithOIDC,
  { aud, exp, jti }: Readonly<Record<string, unknown>>,
): void {
  const audience = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  if (audience !== oidc.issuer) throw refused('aud must be the issuer, and nothing beside it')
  if (typeof jti !== 'string' || jti.length > LONGEST_ID)
    throw refused(`jti must be a text of at most ${LONGEST_ID} characters`)
  const latest = Math.floor(Date.now() / 1000) + LONGEST
  if (typeof exp !== 'number' || exp > latest)
    throw refused(`exp must be at most ${LONGEST} seconds ahead`)
}

function refused(why: string): Error {
  return new errors.InvalidClientAuth(why)
}
