import { createHash, randomBytes } from 'node:crypto'
import { CookieJar } from 'tough-cookie'
import { type House, PASSWORD, PHONES, REDIRECT_URI } from './house.ts'

/** One answer, with its body read. */
export interface Answer {
  status: number
  headers: Headers
  html: string
  /** where it redirects to, absolute */
  location: string | undefined
}

export type Flow = ReturnType<typeof createFlow>

export interface FlowOptions {
  /** which instance is talked to; the first by default */
  url?: string
  jar?: CookieJar
  client?: { id: string; secret: string }
  headers?: Record<string, string>
}

/**
 * One sign-in at the level of single requests: each step is a call, nothing is followed by itself, and every
 * header, cookie and field can be bent. (For walks as a person does them there is `examples/scripted-browser`.)
 */
export function createFlow(house: House, options: FlowOptions = {}) {
  const { jar = new CookieJar(), client = { id: 'app', secret: '' } } = options
  const verifier = randomBytes(32).toString('base64url')
  const flow = {
    jar,
    verifier,
    /** set by `begin`: the path of the interaction, and the token its forms carry */
    path: '',
    formToken: '',
    /** which instance the next request goes to */
    url: options.url ?? house.url,

    async request(target: string, init: RequestInit = {}): Promise<Answer> {
      const { pathname, search } = new URL(target, house.issuer)
      const seen = new URL(pathname + search, house.issuer).href
      const response = await fetch(new URL(pathname + search, flow.url), {
        redirect: 'manual',
        ...init,
        headers: {
          accept: 'text/html',
          cookie: await jar.getCookieString(seen),
          ...options.headers,
          ...init.headers,
        },
      })
      for (const cookie of response.headers.getSetCookie()) await jar.setCookie(cookie, seen)
      const location = response.headers.get('location')
      return {
        status: response.status,
        headers: response.headers,
        html: await response.text(),
        location: location === null ? undefined : new URL(location, house.issuer).href,
      }
    },

    post(
      target: string,
      fields: Record<string, string> | URLSearchParams,
      headers: Record<string, string> = {},
    ): Promise<Answer> {
      return flow.request(target, {
        method: 'POST',
        body: new URLSearchParams(fields),
        headers: { origin: house.issuer, ...headers },
      })
    },

    authorizationUrl(params: Record<string, string | undefined> = {}): string {
      const all = {
        client_id: client.id,
        response_type: 'code',
        scope: 'openid',
        redirect_uri: REDIRECT_URI,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        state: 'a state',
        nonce: 'a nonce',
        ...params,
      }
      const given = Object.entries(all).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      )
      return `/auth?${new URLSearchParams(given)}`
    },

    /** Asks for authorization and opens the login page. */
    async begin(params: Record<string, string | undefined> = {}): Promise<Answer> {
      const answer = await flow.request(flow.authorizationUrl(params))
      if (!answer.location?.includes('/interaction/')) return answer
      return flow.arrive(answer.location)
    },

    /** Opens an interaction's page and takes its form token. */
    async arrive(location: string): Promise<Answer> {
      flow.path = new URL(location).pathname
      const page = await flow.request(flow.path)
      flow.formToken = /name="form_token" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
      return page
    },

    step(
      name: string,
      fields: Record<string, string> = {},
      headers: Record<string, string> = {},
    ): Promise<Answer> {
      return flow.post(`${flow.path}/${name}`, { form_token: flow.formToken, ...fields }, headers)
    },

    password(username: string, password = PASSWORD): Promise<Answer> {
      return flow.step('login', { username, password })
    },

    code(code: string): Promise<Answer> {
      return flow.step('code', { code })
    },

    page(): Promise<Answer> {
      return flow.request(flow.path)
    },

    /** From nothing to the page that asks for the code. */
    async toCode(username: string, params: Record<string, string | undefined> = {}): Promise<void> {
      await flow.begin(params)
      const answer = await flow.password(username)
      if (answer.status !== 303)
        throw new Error(`the password led to ${answer.status}: ${answer.html}`)
    },

    /** From nothing to the callback's query. */
    async complete(
      username: string,
      phone: string = PHONES[0],
      params: Record<string, string | undefined> = {},
    ): Promise<URLSearchParams> {
      await flow.toCode(username, params)
      const answer = await flow.code(house.lastCode(phone))
      return flow.resume(answer)
    },

    /** Asks for the way back to the app, whether or not all that is due was done. */
    back(): Promise<Answer> {
      return flow.request(flow.path.replace('/interaction/', '/auth/'))
    },

    /** Follows the way back to the app from the answer to a step. */
    async resume(answer: Answer): Promise<URLSearchParams> {
      let at = answer
      for (let hops = 0; at.location?.startsWith(house.issuer) && hops < 5; hops++)
        at = await flow.request(at.location)
      if (!at.location) throw new Error(`no way back: ${at.status} ${at.html}`)
      return new URL(at.location).searchParams
    },

    /** Exchanges a code at the token endpoint. */
    async redeem(
      code: string,
      more: Record<string, string> = {},
    ): Promise<{ status: number; body: Record<string, unknown> }> {
      const response = await fetch(new URL('/token', flow.url), {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}` },
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          code,
          redirect_uri: REDIRECT_URI,
          code_verifier: verifier,
          ...more,
        }),
      })
      const body: Record<string, unknown> = JSON.parse(await response.text())
      return { status: response.status, body }
    },
  }
  return flow
}

/** The claims of an ID token, unverified. */
export function claimsOf(body: Record<string, unknown>): Record<string, unknown> {
  const [, payload = ''] = String(body.id_token).split('.')
  return JSON.parse(Buffer.from(payload, 'base64url').toString())
}

/** Releases `count` requests together and waits for all of them. */
export function burst<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => work(index)))
}
