import { createHash, randomBytes } from 'node:crypto'
import type { Connection, Reply } from './http.ts'
import { CLIENT, PASSWORD } from './people.ts'

export interface Visit {
  connection: Connection
  port: number
  /** the app's id and secret */
  client: string
  secret: string
  /** of the visitor, as a proxy tells it */
  address: string
  /** told how long each request took, in milliseconds */
  onRequest?(milliseconds: number): void
}

export interface Tokens {
  id_token: string
  access_token: string
  refresh_token: string
}

const FORM = 'application/x-www-form-urlencoded'

/** What a browser sends with everything. */
const BROWSER = {
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'accept-language': 'en-GB,en;q=0.5',
  'sec-fetch-dest': 'document',
  'sec-fetch-mode': 'navigate',
}

/**
 * One sign-in from nothing to tokens, in a browser that was never there: authorize → password → code → token.
 * @param codeOf where a code is texted as well: gives the one that came
 * @throws Error at the first answer that isn't what it should be
 */
export async function signIn(
  visit: Visit,
  username: string,
  codeOf?: () => string | Promise<string>,
): Promise<Tokens> {
  const { port } = visit
  const cookies = new Map<string, string>()

  async function browse(method: 'GET' | 'POST', path: string, body?: string): Promise<Reply> {
    const held = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = {
      host: `localhost:${port}`,
      ...BROWSER,
      'x-forwarded-for': visit.address,
      'sec-fetch-site': method === 'POST' ? 'same-origin' : 'cross-site',
      ...(held && { cookie: held }),
      ...(body && { 'content-type': FORM, origin: `http://localhost:${port}` }),
    }
    const reply = await timed(visit, () => visit.connection.request(method, path, headers, body))
    for (const cookie of reply.setCookies) {
      const [pair = ''] = cookie.split(';', 1)
      const equals = pair.indexOf('=')
      cookies.set(pair.slice(0, equals), pair.slice(equals + 1))
    }
    return reply
  }

  const verifier = randomBytes(32).toString('base64url')
  const asked = new URLSearchParams({
    client_id: visit.client,
    response_type: 'code',
    scope: 'openid',
    redirect_uri: CLIENT.redirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: verifier.slice(0, 16),
    nonce: verifier.slice(16, 32),
  })
  const interaction = pathOf(await browse('GET', `/auth?${asked}`))
  const token = formToken(await browse('GET', interaction))
  let at = pathOf(
    await browse(
      'POST',
      `${interaction}/login`,
      String(new URLSearchParams({ form_token: token, username, password: PASSWORD })),
    ),
  )
  if (codeOf) {
    const code = await codeOf()
    const again = formToken(await browse('GET', at))
    const form = String(new URLSearchParams({ form_token: again, code }))
    at = pathOf(await browse('POST', `${interaction}/code`, form))
  }
  const back = locationOf(await browse('GET', at))
  const code = back.startsWith(CLIENT.redirectUri) ? new URL(back).searchParams.get('code') : null
  if (!code) throw new Error(`no code: ${back}`)
  return redeem(visit, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: CLIENT.redirectUri,
    code_verifier: verifier,
  })
}

export function refresh(visit: Visit, { refresh_token }: Tokens): Promise<Tokens> {
  return redeem(visit, { grant_type: 'refresh_token', refresh_token })
}

async function redeem(visit: Visit, params: Record<string, string>): Promise<Tokens> {
  const credentials = [visit.client, visit.secret].map(encodeURIComponent).join(':')
  const headers = {
    host: `localhost:${visit.port}`,
    accept: 'application/json',
    authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
    'content-type': FORM,
    'x-forwarded-for': visit.address,
  }
  const body = String(new URLSearchParams(params))
  const reply = await timed(visit, () => visit.connection.request('POST', '/token', headers, body))
  const tokens = reply.status === 200 ? JSON.parse(reply.body) : undefined
  if (!tokens?.id_token || !tokens.refresh_token)
    throw new Error(`no tokens: ${reply.status} ${reply.body.slice(0, 200)}`)
  return tokens
}

/** Something that anybody may read. @throws Error unless it is there */
export async function read(visit: Visit, path: string): Promise<void> {
  const headers = { host: `localhost:${visit.port}`, 'x-forwarded-for': visit.address }
  const reply = await timed(visit, () => visit.connection.request('GET', path, headers))
  if (reply.status !== 200) throw new Error(`${path}: ${reply.status}`)
}

async function timed(visit: Visit, work: () => Promise<Reply>): Promise<Reply> {
  const began = performance.now()
  const reply = await work()
  visit.onRequest?.(performance.now() - began)
  return reply
}

function locationOf({ status, headers, body }: Reply): string {
  const location = headers.get('location')
  if (status !== 303 && status !== 302) throw new Error(`${status}: ${body.slice(0, 200)}`)
  return location ?? ''
}

function pathOf(reply: Reply): string {
  const { pathname, search } = new URL(locationOf(reply), 'http://localhost')
  return pathname + search
}

/** The bare provider's forms have none. */
function formToken({ status, body }: Reply): string {
  if (status !== 200) throw new Error(`no page: ${status} ${body.slice(0, 200)}`)
  return /name="form_token" value="([^"]+)"/.exec(body)?.[1] ?? ''
}
