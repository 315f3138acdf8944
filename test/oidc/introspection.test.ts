import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { claimsOf, createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

const MFA = 'https://refeds.org/profile/mfa'

interface Registered {
  id: string
  secret: string
}

let house: House
let app: Registered
let other: Registered
let api: Registered

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app', {
    grants: ['authorization_code', 'refresh_token', 'client_credentials'],
  })
  other = await house.addClient('other', { grants: ['authorization_code', 'client_credentials'] })
  api = await house.addClient('api', {
    grants: ['client_credentials'],
    redirectUris: [],
    introspects: ['app'],
  })
  await house.addClient('page', { public: true })
  await house.addAccount('alex')
})
afterAll(() => house.stop())

async function introspect(by: Registered, token: unknown, more: Record<string, string> = {}) {
  const answer = await fetch(`${house.url}/token/introspection`, {
    method: 'POST',
    headers: by.secret ? { authorization: `Basic ${btoa(`${by.id}:${by.secret}`)}` } : {},
    body: new URLSearchParams({ token: String(token), ...more }),
  })
  const body: Record<string, unknown> = JSON.parse(await answer.text())
  return { status: answer.status, body }
}

async function signIn(username = 'alex', client = app) {
  const flow = createFlow(house, { client })
  const query = await flow.complete(username)
  return { flow, tokens: (await flow.redeem(query.get('code') ?? '')).body }
}

async function ownToken({ id, secret }: Registered): Promise<unknown> {
  const answer = await fetch(`${house.url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  return JSON.parse(await answer.text()).access_token
}

const DEAD = { status: 200, body: { active: false } }

describe('introspection [OIDC-30]', () => {
  test('tells an API who is behind the token of an app it serves, and how they signed in', async () => {
    const { tokens, flow } = await signIn()
    const { sub, auth_time: authTime } = claimsOf(tokens)
    const told = { active: true, client_id: 'app', sub, acr: MFA, auth_time: authTime }
    expect((await introspect(api, tokens.access_token)).body).toMatchObject(told)
    const refreshed = await flow.redeem('', {
      grant_type: 'refresh_token',
      refresh_token: String(tokens.refresh_token),
    })
    expect((await introspect(api, refreshed.body.access_token)).body).toMatchObject(told)
  })

  test('tells nothing that scopes were for: no name, address or number', async () => {
    const flow = createFlow(house, { client: app })
    const query = await flow.complete('alex', undefined, { scope: 'openid profile email phone' })
    const { body } = await flow.redeem(query.get('code') ?? '')
    const told = await introspect(api, body.access_token)
    expect(Object.keys(told.body).toSorted()).toEqual([
      'acr',
      'active',
      'amr',
      'auth_time',
      'client_id',
      'exp',
      'iat',
      'iss',
      'scope',
      'sub',
      'token_type',
    ])
  })

  test('tells an app of its own tokens, and nobody of anybody else’s', async () => {
    const { tokens } = await signIn()
    for (const token of [tokens.access_token, tokens.refresh_token])
      expect((await introspect(app, token)).body.active).toBe(true)
    for (const token of [tokens.access_token, tokens.refresh_token])
      expect(await introspect(other, token)).toEqual(DEAD)
    // An API has no use for refresh tokens, which aren't presented to it.
    expect(await introspect(api, tokens.refresh_token)).toEqual(DEAD)
    const { tokens: foreign } = await signIn('alex', other)
    expect(await introspect(api, foreign.access_token)).toEqual(DEAD)
  })

  test('tells of an app’s own token that nobody is behind it', async () => {
    const { body } = await introspect(api, await ownToken(app))
    expect(body).toMatchObject({ active: true, client_id: 'app' })
    expect(body).not.toHaveProperty('sub')
    expect(body).not.toHaveProperty('acr')
    expect(await introspect(api, await ownToken(other))).toEqual(DEAD)
  })

  test('tells nothing to a public client, to nobody, and of what is no access token', async () => {
    const { tokens, flow } = await signIn()
    const asPage = { client_id: 'page' }
    expect(await introspect({ id: '', secret: '' }, tokens.access_token, asPage)).toEqual(DEAD)
    expect((await introspect({ id: '', secret: '' }, tokens.access_token)).status).toBe(400)
    const code = new URL((await flow.begin()).location ?? '').searchParams.get('code')
    expect(code).toMatch(/./)
    for (const by of [api, app]) {
      for (const odd of [code, 'x', '\0', '__proto__', `${tokens.access_token}x`])
        expect(await introspect(by, odd), JSON.stringify(odd)).toEqual(DEAD)
      // JWTs aren't stored, so nothing is told of them, whoever made them.
      for (const odd of [tokens.id_token, 'e30.e30.'])
        expect(await introspect(by, odd)).toMatchObject({
          status: 400,
          body: { error: 'unsupported_token_type' },
        })
    }
    expect((await introspect(api, '')).body.error).toBe('invalid_request')
  })

  test('tells nothing once the account is disabled, or the app is gone', async () => {
    const gone = await house.addClient('gone')
    const serving = await house.addClient('serving', {
      grants: ['client_credentials'],
      redirectUris: [],
      introspects: ['gone', 'app'],
    })
    const { id } = await house.addAccount('disabled')
    const { tokens: ofGone } = await signIn('disabled', gone)
    const { tokens } = await signIn('disabled')
    expect((await introspect(serving, ofGone.access_token)).body.active).toBe(true)
    await house.rooms.clients.remove('gone')
    expect(await introspect(serving, ofGone.access_token)).toEqual(DEAD)
    expect((await introspect(serving, tokens.access_token)).body.active).toBe(true)
    const disabled = { disabled_at: sql<Date>`now()` }
    await house.db.updateTable('account').set(disabled).where('id', '=', id).execute()
    expect(await introspect(serving, tokens.access_token)).toEqual(DEAD)
    expect(await introspect(app, tokens.refresh_token)).toEqual(DEAD)
  })

  test('slows down whoever guesses an API’s secret (THR-24)', async () => {
    const guessed = await house.addClient('guessed', {
      grants: ['client_credentials'],
      redirectUris: [],
    })
    const statuses = []
    for (let i = 0; i < 11; i++)
      statuses.push((await introspect({ ...guessed, secret: `wrong${i}` }, 'x')).status)
    expect(statuses[0]).toBe(401)
    expect(statuses.at(-1)).toBe(429)
    expect((await introspect(guessed, 'x')).status).toBe(429)
  })
})

test('a public client can’t be registered to introspect', async () => {
  const made = house.addClient('leaky', { public: true, introspects: ['app'] })
  await expect(made).rejects.toThrow('no credentials')
})

describe('revocation (RFC 7009) [OIDC-30]', () => {
  const revoke = (by: Registered, token: unknown, more: Record<string, string> = {}) =>
    fetch(`${house.url}/token/revocation`, {
      method: 'POST',
      headers: by.secret ? { authorization: `Basic ${btoa(`${by.id}:${by.secret}`)}` } : {},
      body: new URLSearchParams({ token: String(token), ...more }),
    })

  test('of a refresh token ends all that its sign-in gave, and no other sign-in’s', async () => {
    const { tokens } = await signIn()
    const { tokens: others } = await signIn()
    expect((await revoke(app, tokens.refresh_token)).status).toBe(200)
    for (const token of [tokens.refresh_token, tokens.access_token])
      expect(await introspect(app, token)).toEqual(DEAD)
    expect((await introspect(app, others.access_token)).body.active).toBe(true)
    expect((await revoke(app, tokens.refresh_token)).status).toBe(200)
  })

  test('is for an app’s own tokens, after it said who it is', async () => {
    const { tokens } = await signIn()
    for (const answer of [
      await revoke(other, tokens.refresh_token),
      await revoke(api, tokens.access_token),
      await revoke({ id: '', secret: '' }, tokens.access_token, { client_id: 'page' }),
      await revoke(app, 'nothing of ours'),
    ])
      expect(answer.status).toBe(200)
    expect((await revoke({ ...app, secret: 'wrong' }, tokens.access_token)).status).toBe(401)
    expect((await revoke({ id: '', secret: '' }, tokens.access_token)).status).toBe(400)
    expect((await introspect(app, tokens.access_token)).body.active).toBe(true)
    expect((await introspect(app, tokens.refresh_token)).body.active).toBe(true)
  })
})
