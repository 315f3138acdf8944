import { isLoopbackHost } from '../config/shapes.ts'
import { Refusal } from '../errors.ts'

/**
 * RFC 9700 section 2.1, RFC 8252 section 7: https, http to loopback only, or an app's own reverse-domain scheme.
 * @param production whether plain http is refused except to loopback
 * @throws Refusal naming what is wrong
 */
export function assertRedirect(uri: string, isPublic: boolean, production: boolean): void {
  const refuse = (why: string) =>
    new Refusal('redirect_uri', 400, `The redirect URI ${JSON.stringify(uri)} ${why}.`)
  const parsed = URL.parse(uri)
  if (!parsed || /[\s\\]/.test(uri)) throw refuse('is not a URL')
  if (parsed.hash || uri.includes('#')) throw refuse('must have no fragment')
  if (parsed.username || parsed.password) throw refuse('must have no user name')
  // They are compared character by character, so these would never match what they are meant to.
  if (uri.includes('*')) throw refuse('must have no wildcard: register each address')
  if (/\/(\.|%2e){1,2}(?=[/?]|$)/i.test(uri)) throw refuse('must have no . or .. in its path')
  if (parsed.protocol === 'https:') return
  if (parsed.protocol === 'http:') {
    if (isLoopbackHost(parsed.hostname)) return
    if (production) throw refuse('must be https:, except to loopback')
    return
  }
  if (isPublic && /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(parsed.protocol)) return
  throw refuse('must be https: (an app may use its own reverse-domain scheme, as com.example.app:)')
}

/** An app on the person's own machine: its own scheme, or a loopback address, whose port may vary (RFC 8252 section 7.3). */
export function isNative(uri: string): boolean {
  const parsed = URL.parse(uri)
  return parsed?.protocol === 'http:'
    ? /^(127\.|\[::1\])/.test(parsed.hostname)
    : parsed?.protocol !== 'https:'
}
