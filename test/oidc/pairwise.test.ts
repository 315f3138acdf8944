import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { claimsOf, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, REDIRECT_URI, startHouse } from '../support/house.ts'

interface Registered {
  id: string
  secret: string
}

let house: House
let browser: Flow
let shop: Registered
let plain: Registered
let alex: string

beforeAll(async () => {
  house = await startHouse()
  shop = await house.addClient('shop', { subjectType: 'pairwise' })
  plain = await house.addClient('plain')
  alex = (await house.addAccount('alex')).id
  await house.addAccount('bo', PHONES[1])
  browser = createFlow(house, { client: shop })
  await browser.complete('alex')
})
afterAll(() => house.stop())

/** What a client is told in the browser where alex is signed in. */
async function tokensFor(client: Registered, params: Record<string, string> = {}, at = house) {
  const flow = createFlow(at, { client, jar: browser.jar })
  const query = await flow.resume(await flow.request(flow.authorizationUrl(params)))
  const { body } = await flow.redeem(query.get('code') ?? '')
  return { flow, body, sub: String(claimsOf(body).sub) }
}

async function ask(path: string, headers: Record<string, string>, token?: unknown) {
  const form = token !== undefined && { body: new URLSearchParams({ token: String(token) }) }
  const answer = await fetch(`${house.url}${path}`, {
    ...(form && { method: 'POST', ...form }),
    headers,
  })
  const body: Record<string, unknown> = JSON.parse(await answer.text())
  return body
}

const basic = ({ id, secret }: Registered) => ({
  authorization: `Basic ${btoa(`${id}:${secret}`)}`,
})

describe('a pairwise subject [OIDC-38]', () => {
  test('is the same at apps of one sector, another at the next, and never the account’s id', async () => {
    const beside = await house.addClient('beside', { subjectType: 'pairwise' })
    const { host } = new URL(REDIRECT_URI)
    const named = await house.addClient('named', { subjectType: 'pairwise', sector: host })
    const far = await house.addClient('far', { subjectType: 'pairwise', sector: 'far.example' })
    const { sub } = await tokensFor(shop)
    expect(sub).toMatch(/^[\w-]{43}$/)
    expect((await tokensFor(shop)).sub).toBe(sub)
    expect((await tokensFor(beside)).sub).toBe(sub)
    expect((await tokensFor(named)).sub).toBe(sub)
    expect((await tokensFor(plain)).sub).toBe(alex)
    expect(new Set([sub, alex, (await tokensFor(far)).sub]).size).toBe(3)
  })

  test('is what userinfo and introspection tell, and the audit trail names the account', async () => {
    const { body, sub } = await tokensFor(shop)
    const api = await house.addClient('api', {
      redirectUris: [],
      grants: ['client_credentials'],
      introspects: ['shop'],
    })
    const bearer = { authorization: `Bearer ${body.access_token}` }
    expect((await ask('/me', bearer)).sub).toBe(sub)
    for (const asking of [shop, api])
      expect(await ask('/token/introspection', basic(asking), body.access_token)).toMatchObject({
        active: true,
        sub,
      })
    const events = await house.db
      .selectFrom('audit_event')
      .select('account_id')
      .where('type', '=', 'token.issued')
      .where('client_id', '=', 'shop')
      .execute()
    expect(new Set(events.map(({ account_id: id }) => id))).toEqual(new Set([alex]))
  })

  test('is what a hint and a claim are held against', async () => {
    const { body, sub, flow } = await tokensFor(shop)
    const silently = async (params: Record<string, string>) =>
      (await flow.request(flow.authorizationUrl({ prompt: 'none', ...params }))).location ?? ''
    const asClaim = (value: string) => JSON.stringify({ id_token: { sub: { value } } })
    expect(await silently({ id_token_hint: String(body.id_token) })).toContain('code=')
    expect(await silently({ claims: asClaim(sub) })).toContain('code=')
    // The account's own id is no name of theirs here.
    expect(await silently({ claims: asClaim(alex) })).toContain('error=login_required')
    const other = createFlow(house, { client: shop })
    const { body: ofBo } = await other.redeem(
      (await other.complete('bo', PHONES[1])).get('code') ?? '',
    )
    expect(await silently({ id_token_hint: String(ofBo.id_token) })).toContain('login_required')
    const page = await flow.request(
      `/session/end?${new URLSearchParams({ id_token_hint: String(body.id_token) })}`,
    )
    expect(page.status).toBe(200)
  })

  test('stays the same when the app moves, since its sector was settled', async () => {
    const { sub } = await tokensFor(shop)
    const { clients } = house.rooms
    const redirectUris = [REDIRECT_URI, 'https://new.example/cb']
    const moved = await clients.patch('shop', { redirectUris })
    expect(moved.sector).toBe(new URL(REDIRECT_URI).host)
    expect((await tokensFor(shop)).sub).toBe(sub)
  })

  test('ends what was given under another name', async () => {
    const changing = await house.addClient('changing')
    const { body } = await tokensFor(changing)
    await house.rooms.clients.patch('changing', { subjectType: 'pairwise' })
    const told = await ask('/token/introspection', basic(changing), body.access_token)
    expect(told).toEqual({ active: false })
    const back = await house.rooms.clients.patch('changing', { subjectType: 'public' })
    expect(back.sector).toBe(null)
  })

  test('needs a clear sector', async () => {
    const pairwise = { subjectType: 'pairwise' as const }
    const refused: Array<[string, Parameters<House['addClient']>[1]]> = [
      ['no one host', { ...pairwise, redirectUris: [REDIRECT_URI, 'https://b.example/cb'] }],
      ['no one host', { ...pairwise, public: true, redirectUris: ['com.example.app:/cb'] }],
      ['signs nobody in', { ...pairwise, redirectUris: [], grants: ['client_credentials'] }],
      ['only for pairwise', { sector: 'a.example' }],
      ['a sector is a host', { ...pairwise, sector: 'https://a.example/list' }],
    ]
    for (const [sentence, registration] of refused)
      await expect(house.addClient('unclear', registration), sentence).rejects.toThrow(sentence)
  })
  // The last: what the other instance seals, this one can't open.
  test('stays the same when ENCRYPTION_KEYS are rotated', async () => {
    const { sub } = await tokensFor(shop)
    const keys = `${randomBytes(32).toString('base64')},${house.variables.ENCRYPTION_KEYS}`
    const rotated = await startHouse({ beside: house, env: { ENCRYPTION_KEYS: keys } })
    const { sub: after } = await tokensFor(shop, {}, rotated)
    await rotated.stop()
    expect(after).toBe(sub)
  })
})
