import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Agent, fetch } from 'undici'

export const REDIRECT_URI = 'https://rp.example/cb'
/** Less than a server keeps an idle connection for. */
const dispatcher = new Agent({ keepAliveTimeout: 1000, keepAliveMaxTimeout: 1000 })
const FORM_TOKEN = /name="form_token" value="([^"]+)"/

export interface Visitor {
  issuer: string
  client: { id: string; secret: string }
  username: string
  password: string
  /** the code in the last text they got */
  code: () => string | undefined
  /** which instance the next request goes to */
  next: () => string
}

/**
 * One sign-in from nothing to tokens: authorize → password → code → token → renewal.
 * @throws Error at the first answer that isn't what it should be
 */
export async function signIn(visitor: Visitor): Promise<void> {
  const { issuer, client } = visitor
  const cookies = new Map<string, string>()

  async function ask(path: string, form?: Record<string, string>) {
    const response = await fetch(new URL(path, visitor.next()), {
      redirect: 'manual',
      dispatcher,
      headers: {
        accept: 'text/html',
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form && { origin: issuer }),
      },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      cookies.set(name, value)
    }
    const html = await response.text()
    const location = response.headers.get('location')
    return {
      status: response.status,
      html,
      location: location ? new URL(location, issuer) : undefined,
    }
  }

  async function lead(path: string, form?: Record<string, string>): Promise<URL> {
    const { status, html, location } = await ask(path, form)
    if (status !== 303 || !location) throw new Error(`${path}: ${status} ${html.slice(0, 300)}`)
    return location
  }

  const verifier = randomBytes(32).toString('base64url')
  const asked = new URLSearchParams({
    client_id: client.id,
    response_type: 'code',
    scope: 'openid',
    redirect_uri: REDIRECT_URI,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  const { pathname: page } = await lead(`/auth?${asked}`)
  const formToken = FORM_TOKEN.exec((await ask(page)).html)?.[1] ?? ''
  const { username, password } = visitor
  await lead(`${page}/login`, { form_token: formToken, username, password })
  let texted = visitor.code()
  for (; texted === undefined; texted = visitor.code()) await pause(20)
  await ask(page)
  const { pathname } = await lead(`${page}/code`, { form_token: formToken, code: texted })
  const code = (await lead(pathname)).searchParams.get('code') ?? ''
  const tokens = await redeem(visitor, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT_URI,
    code_verifier: verifier,
  })
  await redeem(visitor, { grant_type: 'refresh_token', refresh_token: tokens.refresh_token })
}

async function redeem(
  { next, client }: Visitor,
  params: Record<string, string>,
): Promise<{ refresh_token: string }> {
  const response = await fetch(new URL('/token', next()), {
    method: 'POST',
    dispatcher,
    headers: { authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}` },
    body: new URLSearchParams(params),
  })
  const body = await response.text()
  if (response.status !== 200) throw new Error(`${params.grant_type}: ${response.status} ${body}`)
  return JSON.parse(body)
}
