import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import * as client from 'openid-client'
import { challenge, insufficient, type Need, type SignIn } from './bearer.ts'

export interface ProtectedApiOptions {
  /** the provider's address, as in its discovery document */
  issuer: string
  /** this API's own registration, with which it asks the provider about tokens */
  clientId: string
  clientSecret: string
  port: number
  /** address to listen on */
  host?: string
}

export interface ProtectedApi {
  url: string
  close(): Promise<void>
}

/** How the person must have signed in, for each thing this API does. */
const NEEDS: Record<string, Need> = {
  'GET /balance': {},
  'POST /transfers': { acr: 'https://refeds.org/profile/mfa', maxAgeSeconds: 300 },
}

/** A small API that takes bearer tokens and, where they are too weak, says what it needs (RFC 6750, RFC 9470). */
export async function startProtectedApi(options: ProtectedApiOptions): Promise<ProtectedApi> {
  const { issuer, clientId, clientSecret, port, host = '127.0.0.1' } = options
  const provider = createDiscovery(issuer, clientId, clientSecret)

  /** The sign-in behind a token, as the provider tells it now: a token that was revoked is found out at once. */
  async function introspect(token: string): Promise<SignIn | undefined> {
    const answer = await client.tokenIntrospection(await provider(), token).catch(notOfThisKind)
    const { active, sub, acr, auth_time: authTime } = answer
    // A token that an app got for itself has nobody behind it.
    if (!active || sub === undefined) return undefined
    return {
      sub,
      acr: typeof acr === 'string' ? acr : undefined,
      authTime: typeof authTime === 'number' ? authTime : undefined,
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://api')
    const need = NEEDS[`${request.method} ${pathname}`]
    if (!need) return json(response, 404, { error: 'not_found' })
    const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1]
    // Nobody said who they are, so nothing was wrong with it: no error code (RFC 6750 section 3.1).
    if (!token) return json(response, 401, {}, challenge({}))
    const signIn = await introspect(token)
    if (!signIn) return json(response, 401, {}, challenge({ error: 'invalid_token' }))
    const tooWeak = insufficient(signIn, need, Date.now() / 1000)
    if (tooWeak) return json(response, 401, {}, tooWeak)
    json(response, 200, { done: pathname.slice(1), for: signIn.sub })
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      console.error('example API:', error)
      json(response, 502, { error: 'temporarily_unavailable' })
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    url: `http://localhost:${port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

/** An ID token, say, is none that a provider can be asked about: as good as none. */
function notOfThisKind(error: unknown): client.IntrospectionResponse {
  if (error instanceof client.ResponseBodyError && error.error === 'unsupported_token_type')
    return { active: false }
  throw error
}

function json(
  response: ServerResponse,
  status: number,
  body: Record<string, unknown>,
  wwwAuthenticate?: string,
): void {
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    ...(wwwAuthenticate && { 'WWW-Authenticate': wwwAuthenticate }),
  })
  response.end(JSON.stringify(body))
}

/** Asks for the provider's discovery document at the first request and keeps it; a failure isn't kept. */
function createDiscovery(issuer: string, clientId: string, clientSecret: string) {
  let found: Promise<client.Configuration> | undefined
  return (): Promise<client.Configuration> => {
    found ??= client
      .discovery(new URL(issuer), clientId, undefined, client.ClientSecretBasic(clientSecret), {
        execute: insecureOnLoopback(issuer),
        timeout: 10,
      })
      .catch((error: unknown) => {
        found = undefined
        throw error
      })
    return found
  }
}

/** Plain http is for a provider on this machine only. */
function insecureOnLoopback(issuer: string) {
  const { protocol, hostname } = new URL(issuer)
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
  return protocol === 'http:' && loopback ? [client.allowInsecureRequests] : []
}
