import { randomBytes } from 'node:crypto'
import { createLocalJWKSet, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import type { CookieJar } from 'tough-cookie'
import { expect } from 'vitest'
import { type Answer, createFlow } from './flow.ts'
import { type House, PHONES } from './house.ts'

/** Where the suite runs, as it names the addresses of an alias of its own. */
const BASE = 'https://suite.example/test/a/sallyport'
export const CALLBACK = `${BASE}/callback`
export const POST_LOGOUT = `${BASE}/post_logout_redirect`

type Params = Record<string, string | undefined>

export interface SuiteOptions {
  client: { id: string; secret: string }
  jar?: CookieJar
  /** who signs in where somebody has to */
  person?: { username: string; phone: string }
  method?: 'client_secret_basic' | 'client_secret_post'
}

/** What came of an authorization request. */
export interface Outcome {
  /** what the callback was called with; undefined when a page was shown instead */
  callback: URLSearchParams | undefined
  page: Answer
  /** whether somebody had to sign in for it */
  signedIn: boolean
  state: string
  nonce: string | undefined
}

export interface Tokens {
  access: string
  refresh: string | undefined
  idToken: string
  claims: JWTPayload & Record<string, unknown>
}

/** Characters of an `error_description` (RFC 6749 section 4.1.2.1). */
const DESCRIPTION = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/**
 * A client as the OpenID Foundation's suite runs one: registered beforehand, without PKCE, in a browser of its own,
 * with what the suite checks of every answer.
 */
export function createSuiteClient(
  house: House,
  { client, jar, person, method = 'client_secret_basic' }: SuiteOptions,
) {
  const { username, phone } = person ?? { username: 'alex', phone: PHONES[0] }
  const flow = createFlow(house, { client, ...(jar && { jar }) })

  function parametersOf(params: Params): { state: string; nonce: string | undefined; all: Params } {
    const state = params.state ?? randomBytes(16).toString('base64url')
    const nonce = 'nonce' in params ? params.nonce : randomBytes(16).toString('base64url')
    const all = {
      client_id: client.id,
      redirect_uri: CALLBACK,
      scope: 'openid',
      response_type: 'code',
      ...params,
      state,
      nonce,
    }
    return { state, nonce, all }
  }

  /** Does what a page asks for. */
  async function answerPage(location: string): Promise<{ next: Answer; signedIn: boolean }> {
    const page = await flow.arrive(location)
    if (page.html.includes(`${flow.path}/consent`))
      return { next: await flow.step('consent'), signedIn: false }
    const asked = await flow.password(username)
    expect(asked.status, asked.html).toBe(303)
    return { next: await flow.code(house.lastCode(phone)), signedIn: true }
  }

  const suite = {
    flow,

    /** Sends the browser to the authorization endpoint and does what its pages ask. */
    async authorize(params: Params = {}, { post = false, turned = false } = {}): Promise<Outcome> {
      const { state, nonce, all } = parametersOf(params)
      const given = Object.entries(all).filter((pair): pair is [string, string] => !!pair[1])
      const query = new URLSearchParams(turned ? given.toReversed() : given)
      // A form of the suite's own page, so of another site: the browser keeps Lax cookies back.
      let at = post
        ? await createFlow(house).post('/auth', query, { origin: 'https://suite.example' })
        : await flow.request(`/auth?${query}`)
      let signedIn = false
      for (let hops = 0; at.location?.startsWith(house.issuer) && hops < 8; hops++) {
        if (at.location.includes('/interaction/')) {
          const answered = await answerPage(at.location)
          signedIn ||= answered.signedIn
          at = answered.next
        } else at = await flow.request(at.location)
      }
      const callback = at.location === undefined ? undefined : new URL(at.location)
      if (callback) expect(callback.origin + callback.pathname).toBe(CALLBACK)
      return { callback: callback?.searchParams, page: at, signedIn, state, nonce }
    },

    /** Trades the code of an outcome for tokens, at the token endpoint. */
    async trade({ callback, nonce, state }: Outcome, more: Params = {}): Promise<Tokens> {
      expect(Object.fromEntries(callback ?? [])).toEqual({
        code: expect.stringMatching(/./),
        state,
        iss: house.issuer,
      })
      const answer = await suite.token({
        grant_type: 'authorization_code',
        code: callback?.get('code') ?? '',
        redirect_uri: CALLBACK,
        ...more,
      })
      return suite.tokensOf(answer, nonce)
    },

    /** Checks a token response and its ID token. */
    async tokensOf(
      answer: { status: number; headers: Headers; body: Record<string, unknown> },
      nonce: string | undefined,
    ): Promise<Tokens> {
      const { status, headers, body } = answer
      expect(status, JSON.stringify(body)).toBe(200)
      expect(headers.get('content-type')).toMatch(/^application\/json\b/)
      expect(headers.get('cache-control')).toContain('no-store')
      expect(String(body.token_type).toLowerCase()).toBe('bearer')
      expect(body.access_token).toMatch(/^[\x20-\x7e]+$/)
      expect(Number.isSafeInteger(body.expires_in) && Number(body.expires_in) > 0).toBe(true)
      if (body.refresh_token !== undefined) expect(body.refresh_token).toMatch(/^[\x20-\x7e]+$/)
      const idToken = String(body.id_token)
      const claims = await suite.verify(idToken)
      expect(claims.nonce).toBe(nonce)
      return {
        access: String(body.access_token),
        refresh: body.refresh_token === undefined ? undefined : String(body.refresh_token),
        idToken,
        claims,
      }
    },

    /** The claims of a token that is signed and meant for this client as OpenID Connect Core 3.1.3.7 wants it. */
    async verify(idToken: string): Promise<Tokens['claims']> {
      const { keys } = await json(`${house.url}/jwks`)
      expect(Array.isArray(keys)).toBe(true)
      const { alg, kid } = decodeProtectedHeader(idToken)
      expect(alg).toBe('RS256')
      expect(kid).toMatch(/./)
      const { payload } = await jwtVerify(
        idToken,
        createLocalJWKSet({ keys: Array.isArray(keys) ? keys : [] }),
        {
          issuer: house.issuer,
          audience: client.id,
          algorithms: ['RS256'],
          requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'],
        },
      )
      expect(payload.sub).toMatch(/^[\x21-\x7e]{1,255}$/)
      expect([payload.azp ?? client.id, payload.aud]).toEqual([client.id, client.id])
      const { auth_time } = payload
      if (auth_time !== undefined) expect(Number.isSafeInteger(auth_time)).toBe(true)
      return payload
    },

    /** Asks the token endpoint, and checks nothing. */
    async token(fields: Params) {
      const body = new URLSearchParams(
        Object.entries(fields).filter((pair): pair is [string, string] => pair[1] !== undefined),
      )
      const headers: Record<string, string> = {}
      if (method === 'client_secret_basic')
        headers.authorization = `Basic ${btoa(`${client.id}:${client.secret}`)}`
      else {
        body.set('client_id', client.id)
        body.set('client_secret', client.secret)
      }
      const response = await fetch(`${house.url}/token`, { method: 'POST', headers, body })
      const parsed: Record<string, unknown> = JSON.parse(await response.text())
      return { status: response.status, headers: response.headers, body: parsed }
    },

    /** What the userinfo endpoint tells. */
    async userinfo({ access, claims }: Tokens, how: 'get' | 'post-header' | 'post-body' = 'get') {
      const bearer = { authorization: `Bearer ${access}` }
      const init: Record<typeof how, RequestInit> = {
        get: { headers: bearer },
        'post-header': { method: 'POST', headers: bearer },
        'post-body': { method: 'POST', body: new URLSearchParams({ access_token: access }) },
      }
      const response = await fetch(`${house.url}/me`, init[how])
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toMatch(/^application\/json\b/)
      const about: Record<string, unknown> = JSON.parse(await response.text())
      expect(about.sub).toBe(claims.sub)
      return about
    },

    /** The whole way, from the request to the tokens. */
    async complete(params: Params = {}): Promise<Tokens> {
      return suite.trade(await suite.authorize(params))
    },

    /** Checks an error that was sent to the callback. @returns its code */
    errorOf({ callback, state }: Outcome): string | null {
      const { error, error_description, ...rest } = Object.fromEntries(callback ?? [])
      expect(rest).toEqual({ state, iss: house.issuer })
      expect(error_description ?? '').toMatch(DESCRIPTION)
      return error ?? null
    },
  }
  return suite
}

/** An error that is told on a page, and to nobody else. */
export function expectErrorPage({ callback, page }: Pick<Outcome, 'callback' | 'page'>): void {
  expect(callback).toBeUndefined()
  expect(page.status).toBe(400)
  expect(page.location).toBeUndefined()
  expect(page.headers.get('content-type')).toContain('text/html')
}

export async function json(url: string): Promise<Record<string, unknown>> {
  return JSON.parse(await (await fetch(url)).text())
}
