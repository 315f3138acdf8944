import type { IncomingMessage } from 'node:http'
import { clientAddress } from '../address.ts'

/** Headers by which a client could claim to be, or to have asked for, something else. */
const CLAIMS = [
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-server',
  'forwarded',
  'x-real-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'x-original-url',
  'x-rewrite-url',
  'x-http-method-override',
]

/**
 * Makes a request say what the configuration says: the issuer's host and scheme, and the address of the
 * client as far as it can be trusted. Everything behind it (Koa, the provider) builds URLs and sets cookies
 * from these headers, and so can't be led astray by the visitor's own (OIDC-35, THR-07).
 */
export function pinRequest(request: IncomingMessage, issuer: URL, trustedProxies: number): void {
  const address = clientAddress(request, trustedProxies)
  for (const name of CLAIMS) delete request.headers[name]
  request.headers.host = issuer.host
  request.headers['x-forwarded-proto'] = issuer.protocol.slice(0, -1)
  request.headers['x-forwarded-for'] = address
}
