import { randomBytes } from 'node:crypto'
import { hmac } from './signatures.ts'

/** Who asks, where no user stands behind the request. */
export interface Consumer {
  key: string
  secret: string
}

export interface SignedRequest {
  method: 'GET' | 'POST'
  /** without a query; a body that is no form isn't signed */
  url: string
  consumer: Consumer
  nonce?: string
  /** seconds since 1970 */
  timestamp?: number
}

/** The `Authorization` header of a two-legged request by OAuth 1.0a with HMAC-SHA1 (RFC 5849 section 3). */
export function oauth1Header({
  method,
  url,
  consumer,
  nonce = randomBytes(16).toString('hex'),
  timestamp = Math.floor(Date.now() / 1000),
}: SignedRequest): string {
  // By name, as they are signed.
  const parameters = [
    ['oauth_consumer_key', consumer.key],
    ['oauth_nonce', nonce],
    ['oauth_signature_method', 'HMAC-SHA1'],
    ['oauth_timestamp', String(timestamp)],
    ['oauth_version', '1.0'],
  ] as const
  const listed = parameters.map(([name, value]) => `${name}=${encoded(value)}`).join('&')
  const parsed = URL.parse(url)
  const address = parsed ? `${parsed.origin}${parsed.pathname}` : url
  const base = [method, address, listed].map(encoded).join('&')
  const signature = hmac('sha1', `${encoded(consumer.secret)}&`, [base], 'base64')
  const written = [...parameters, ['oauth_signature', signature] as const]
  return `OAuth ${written.map(([name, value]) => `${name}="${encoded(value)}"`).join(', ')}`
}

/** RFC 3986: all but letters, digits and `-._~`. */
function encoded(text: string): string {
  const percent = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  return encodeURIComponent(text).replace(/[!'()*]/g, percent)
}
