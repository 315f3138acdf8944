import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientChanges } from '../../src/oidc/new-client.ts'
import { burst, createFlow } from '../support/flow.ts'
import { type House, REDIRECT_URI, startHouse } from '../support/house.ts'

let house: House
const patch = (id: string, changes: ClientChanges, ifVersion?: number) =>
  house.rooms.clients.patch(id, changes, ifVersion)

beforeAll(async () => {
  house = await startHouse()
  await house.addAccount('alex')
})
afterAll(() => house.stop())

const GRANTS = ['authorization_code', 'refresh_token'] as const
const errorAt = (location: string | undefined) =>
  location ? new URL(location).searchParams.get('error') : undefined

describe('a change of a client', () => {
  test('holds at once, leaves the rest, and moves the version', async () => {
    const app = await house.addClient('changing', { name: 'Before', secondFactor: 'optional' })
    const before = await house.rooms.clients.show('changing')
    const moved = 'https://moved.example/cb'
    const after = await patch('changing', { redirectUris: [moved], name: null })
    expect(after).toEqual({
      ...before,
      redirectUris: [moved],
      name: null,
      version: 2,
      updatedAt: expect.any(Date),
    })
    expect(await house.rooms.clients.show('changing')).toEqual(after)
    const flow = createFlow(house, { client: app })
    expect((await flow.begin()).status).toBe(400)
    expect((await flow.begin({ redirect_uri: moved })).html).toContain('name="password"')
    expect(await patch('changing', { redirectUris: [moved] })).toEqual(after)
    const events = await house.db
      .selectFrom('audit_event')
      .select('detail')
      .where('type', '=', 'client.changed')
      .where('client_id', '=', 'changing')
      .execute()
    expect(events).toEqual([{ detail: { members: 'name redirectUris' } }])
  })

  test('of two at once to one version one is made (ADM-17)', async () => {
    await house.addClient('raced')
    const outcomes = await Promise.allSettled(
      ['One', 'Other'].map((name) => patch('raced', { name }, 1)),
    )
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    const refused = outcomes.find(({ status }) => status === 'rejected')
    expect(refused).toMatchObject({ reason: { code: 'changed_meanwhile', status: 412 } })
    expect(await house.rooms.clients.show('raced')).toMatchObject({ version: 2 })
    // Without a version both are made, one after the other.
    await burst(2, (i) => patch('raced', i === 0 ? { name: 'Both' } : { firstParty: false }))
    expect(await house.rooms.clients.show('raced')).toMatchObject({
      version: 4,
      name: 'Both',
      firstParty: false,
    })
  })

  test.each<[string, object, string]>([
    ['whether it is public', { public: true }, 'public can’t be changed'],
    ['its id', { id: 'other' }, 'Unrecognized key'],
    ['a member there is none of', { first_party: true }, 'Unrecognized key'],
    ['no redirect URI', { redirectUris: [] }, 'needs a redirect URI'],
    ['a wildcard', { redirectUris: ['https://*.example.com/cb'] }, 'no wildcard'],
    ['a wildcard at the end', { redirectUris: ['https://a.example/*'] }, 'no wildcard'],
    ['dots', { postLogoutRedirectUris: ['https://a.example/x/%2E./cb'] }, 'no . or ..'],
    ['a fragment', { redirectUris: ['https://a.example/cb#x'] }, 'no fragment'],
    ['a user', { redirectUris: ['http://localhost:80@evil.example/'] }, 'no user name'],
    ['no grant', { grants: [] }, 'Too small'],
    ['an odd scope', { scope: ['openid', 'root'] }, 'Invalid option'],
    ['a scope without openid', { scope: ['profile'] }, 'needs the scope openid'],
    ['admin scopes with consent', { scope: ['openid', 'admin:read'] }, 'only if it is first-party'],
  ])('refuses %s', async (_what, changes, why) => {
    await house.addClient('linted', { firstParty: false }).catch(() => {})
    const refused = await patch('linted', changes).catch((error: unknown) => error)
    expect(refused).toMatchObject({ status: 400, message: expect.stringContaining(why) })
    expect(await house.rooms.clients.show('linted')).toMatchObject({ version: 1 })
  })

  test('refuses unknown clients and those of the house', async () => {
    await expect(patch('nobody', {})).rejects.toMatchObject({ status: 404 })
    await expect(patch('sallyport-account', { firstParty: false })).rejects.toMatchObject({
      code: 'reserved_id',
    })
  })

  test.each<[string, ClientChanges]>([
    ['a scope', { scope: ['openid', 'profile', 'offline_access'] }],
    ['that nobody is asked', { firstParty: false }],
  ])('that takes away %s ends what the client was given, and nobody else’s', async (what, less) => {
    const apps = await Promise.all(
      [`less ${what}`, `kept ${what}`].map((name) =>
        house.addClient(name.replaceAll(' ', '-'), { grants: [...GRANTS] }),
      ),
    )
    const renewals = []
    for (const app of apps) {
      const flow = createFlow(house, { client: app })
      const { body } = await flow.redeem((await flow.complete('alex')).get('code') ?? '')
      const refreshToken = String(body.refresh_token)
      renewals.push(() =>
        flow.redeem('', { grant_type: 'refresh_token', refresh_token: refreshToken }),
      )
    }
    for (const { id } of apps) await patch(id, { name: 'Another name' })
    await patch(apps[0]?.id ?? '', less)
    const [ended, going] = await Promise.all(renewals.map((renew) => renew()))
    expect(ended).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
    expect(going?.status).toBe(200)
  })
})

test('clients are listed by id, page by page, without those of the house', async () => {
  for (const id of ['page-a', 'page-b', 'page-c']) await house.addClient(id)
  const idsOf = async (paging?: { after?: string; limit?: number }) =>
    (await house.rooms.clients.list(paging)).map(({ id }) => id)
  expect(await idsOf({ after: 'page-', limit: 2 })).toEqual(['page-a', 'page-b'])
  expect(await idsOf({ after: 'page-b', limit: 1 })).toEqual(['page-c'])
  const all = await idsOf()
  expect(all).toEqual(all.toSorted())
  expect(all).not.toContain('sallyport-account')
  expect(await house.rooms.clients.show('sallyport-account')).toBeDefined()
})

describe('admin scopes', () => {
  const GRANT = { grants: ['client_credentials' as const], redirectUris: [] }

  async function asMachine(id: string, secret: string, scope: string) {
    const insecure = { execute: [client.allowInsecureRequests] }
    const config = await client.discovery(
      new URL(house.issuer),
      id,
      secret,
      client.ClientSecretPost(secret),
      insecure,
    )
    return client.clientCredentialsGrant(config, { scope }).then(
      async (tokens) => ({
        scope: tokens.scope,
        told: await client.tokenIntrospection(config, tokens.access_token),
      }),
      (error: unknown) => error,
    )
  }

  test('are for a machine that is registered for them', async () => {
    const { id, secret } = await house.addClient('robot', { ...GRANT, scope: ['admin:read'] })
    expect(await asMachine(id, secret, 'admin:read')).toMatchObject({
      scope: 'admin:read',
      told: { active: true, scope: 'admin:read', client_id: id },
    })
    const both = await asMachine(id, secret, 'admin:read admin:write')
    expect(both).toMatchObject({ error: 'invalid_scope' })
  })

  test('are for nobody who isn’t, also where no scopes are named', async () => {
    const { id, secret } = await house.addClient('plain', GRANT)
    expect(await asMachine(id, secret, 'admin:read')).toMatchObject({ error: 'invalid_scope' })
    const app = await house.addClient('app')
    const flow = createFlow(house, { client: app })
    for (const scope of ['openid admin:read', 'openid profile admin:write'])
      expect(errorAt((await flow.begin({ scope })).location)).toBe('invalid_scope')
    const all = { scope: 'openid profile email phone offline_access', prompt: 'consent' }
    expect((await flow.begin(all)).status).toBe(200)
  })

  test('come with a person’s token through a first-party app, which names them where it asks', async () => {
    const admin = { scope: ['openid' as const, 'admin:write' as const] }
    const app = await house.addClient('desk', admin)
    await expect(
      house.addClient('stranger', { ...admin, firstParty: false }),
    ).rejects.toMatchObject({ status: 400 })
    await expect(
      house.addClient('open', { scope: ['admin:read'], ...GRANT, public: true }),
    ).rejects.toMatchObject({ status: 400 })
    const flow = createFlow(house, { client: app })
    const scope = admin.scope.join(' ')
    const query = await flow.complete('alex', undefined, { scope })
    expect((await flow.redeem(query.get('code') ?? '')).body).toMatchObject({ scope })
    const asked = await flow.begin({ scope, prompt: 'consent', redirect_uri: REDIRECT_URI })
    expect(asked.html).toContain('admin:write')
  })
})
