import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeProtectedHeader,
  type JSONWebKeySet,
  type JWKSCacheInput,
  jwksCache,
  jwtVerify,
} from 'jose'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openApi } from '../support/api.ts'
import { killChildren, startChild } from '../support/children.ts'
import { rotateByEarlierVersion } from '../support/earlier-version.ts'
import { createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

const MINUTE = 60
const DAY = 24 * 60 * MINUTE

let house: House
let other: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse({
    makesKeys: true,
    keyPollMs: 50,
    env: { SIGNING_KEY_ROTATION_DAYS: '90' },
  })
  other = await startHouse({ beside: house, keyPollMs: 50 })
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
})
afterAll(async () => {
  await killChildren()
  await other.stop()
  await house.stop()
})

const verifiers = new Set<ReturnType<typeof createVerifier>>()

function moveClock(seconds: number): void {
  for (const instance of [house, other]) instance.moveClock(seconds)
  for (const verifier of verifiers) verifier.age(seconds)
}

/** What apps verify with, as it comes: it keeps the keys for 10 minutes, and asks again twice a minute at most. */
function createVerifier(instance: House) {
  let cache: JWKSCacheInput = {}
  const make = () => createRemoteJWKSet(new URL(`${instance.url}/jwks`), { [jwksCache]: cache })
  let keys = make()
  return {
    verify: (token: string) => jwtVerify(token, keys),
    /** Its time goes with the clock's. */
    age(seconds: number): void {
      const { jwks, uat } = cache
      if (jwks && uat) cache = { jwks, uat: uat - seconds * 1000 }
      keys = make()
    },
  }
}

async function jwksOf(instance: House): Promise<JSONWebKeySet> {
  return JSON.parse(await (await fetch(`${instance.url}/jwks`)).text())
}

const kidsOf = async (instance: House) => (await jwksOf(instance)).keys.map(({ kid }) => kid)

/** Waits until both instances publish the keys that there are, in the same order. */
async function takenUp(): Promise<void> {
  const kids = await house.rooms.signingKeys.order()
  await vi.waitFor(
    async () => {
      for (const instance of [house, other]) expect(await kidsOf(instance)).toEqual(kids)
    },
    { timeout: 10_000, interval: 50 },
  )
}

/** Which keys are in which state. */
async function states() {
  const keys = await house.rooms.signingKeys.list()
  const kids = (wanted: string) =>
    keys.filter(({ state }) => state === wanted).map(({ kid }) => kid)
  return { next: kids('next'), active: kids('active'), retiring: kids('retiring') }
}

/** An app that gets ID tokens from both instances in turn, and knows keys by what the one it doesn't ask says. */
async function createApp() {
  const flow = createFlow(house, { client: app })
  const query = await flow.complete('alex')
  let { body } = await flow.redeem(query.get('code') ?? '')
  let turns = 0
  return {
    /** @returns the kid of a new token, which was verified by keys read before it was asked for */
    async renew(): Promise<string | undefined> {
      const [asked, known] = turns++ % 2 === 0 ? [house, other] : [other, house]
      const keys = createLocalJWKSet(await jwksOf(known))
      flow.url = asked.url
      const refreshToken = String(body.refresh_token)
      const more = { grant_type: 'refresh_token', refresh_token: refreshToken }
      ;({ body } = await flow.redeem('', more))
      await jwtVerify(String(body.id_token), keys)
      return decodeProtectedHeader(String(body.id_token)).kid
    },
    token: () => String(body.id_token),
  }
}

const verifies = async (token: string, instance: House) =>
  jwtVerify(token, createLocalJWKSet(await jwksOf(instance))).then(
    () => true,
    () => false,
  )

/** Rotations, each by another way; they return when new keys are published. */
const WAYS: Record<string, () => Promise<void>> = {
  async command() {
    const child = startChild('src/cli/main.ts', ['keys', 'rotate', '--json'], house.variables)
    expect([await child.ended, child.err]).toEqual([0, ''])
  },
  async API() {
    const api = await openApi(house)
    const { status } = await api.post('/signing-keys/rotation', { reason: 'once a year' })
    expect(status).toBe(201)
  },
  async schedule() {
    moveClock(2 * MINUTE)
    await vi.waitFor(async () => expect((await states()).next).toHaveLength(3), { timeout: 10_000 })
  },
}

// The command's clock can't be moved, so it comes first.
test.each(Object.keys(WAYS))(
  'no verification fails while keys are rotated by %s on two instances under load (OIDC-36)',
  async (way) => {
    const before = await states()
    const due = (await house.rooms.signingKeys.list())[0]?.rotatesAt
    if (way === 'schedule') moveClock((due?.getTime() ?? 0) / 1000 - house.now() - MINUTE)
    const client = await createApp()
    const apps = [createVerifier(house), createVerifier(other)]
    for (const one of apps) verifiers.add(one)
    const seen: unknown[] = []
    let going = true
    const load = (async () => {
      while (going) {
        seen.push(await client.renew())
        for (const one of apps) await one.verify(client.token())
        await pause(20)
      }
    })()
    const fewMore = async () => {
      const count = seen.length
      await vi.waitFor(() => expect(seen.length).toBeGreaterThan(count + 2), { timeout: 20_000 })
    }
    await fewMore()
    expect(await states()).toEqual(before)

    await WAYS[way]?.()
    await takenUp()
    const { next } = await states()
    expect(next).toHaveLength(3)
    await fewMore()
    moveClock(9 * MINUTE)
    await fewMore()
    expect(next).not.toContain(seen.at(-1))
    moveClock(2 * MINUTE)
    await takenUp()
    await fewMore()
    going = false
    await load
    verifiers.clear()
    expect(next).toContain(seen.at(-1))

    moveClock(DAY + 11 * MINUTE)
    await takenUp()
    await house.rooms.signingKeys.sweep(10)
    expect((await states()).active.toSorted()).toEqual(next.toSorted())
    const events = await house.db
      .selectFrom('audit_event')
      .select('detail')
      .where('type', '=', 'keys.rotated')
      .execute()
    // Of two instances that find them due at the same time, one makes new ones.
    const scheduled = events.filter(({ detail }) => detail.scheduled === true)
    expect(scheduled).toHaveLength(way === 'schedule' ? 1 : 0)
  },
  90_000,
)

test('a rotation publishes keys, then signs with them, then withdraws the old ones; apps notice nothing (OIDC-36)', async () => {
  const before = await states()
  expect(before).toMatchObject({ next: [], retiring: [] })
  expect(before.active).toHaveLength(3)
  const client = await createApp()
  expect(before.active).toContain(await client.renew())
  const oldToken = client.token()

  // An app goes on getting tokens all the while.
  const seen: unknown[] = []
  let going = true
  const load = (async () => {
    while (going) seen.push(await client.renew())
  })()
  const fewMore = async () => {
    const count = seen.length
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(count + 2), { timeout: 10_000 })
  }

  await house.rooms.signingKeys.rotate()
  await takenUp()
  expect(await kidsOf(house)).toHaveLength(6)
  const published = await states()
  expect(published).toMatchObject({ active: before.active, retiring: [] })
  const fresh = published.next
  expect(fresh).toHaveLength(3)
  moveClock(9 * MINUTE)
  expect(await states()).toEqual(published)
  await fewMore()
  expect(before.active).toEqual(expect.arrayContaining([...new Set(seen)]))

  const underWay = createFlow(house, { client: app })
  await underWay.toCode('alex')
  moveClock(2 * MINUTE)
  await takenUp()
  expect(await states()).toEqual({ next: [], active: fresh, retiring: before.active })
  await fewMore()
  going = false
  await load
  expect(fresh).toContain(seen.at(-1))
  for (const instance of [house, other]) expect(await verifies(oldToken, instance)).toBe(true)

  // A sign-in begun before goes on, at the other instance.
  underWay.url = other.url
  const query = await underWay.resume(await underWay.code(house.lastCode()))
  const { body } = await underWay.redeem(query.get('code') ?? '')
  expect(fresh).toContain(decodeProtectedHeader(String(body.id_token)).kid)

  // Old ID tokens are good for signing out as long as their sessions may last.
  moveClock(DAY - 12 * MINUTE)
  await takenUp()
  const signOut = `/session/end?${new URLSearchParams({ id_token_hint: oldToken })}`
  expect((await createFlow(house).request(signOut)).status).toBe(200)

  moveClock(30 * MINUTE)
  await takenUp()
  expect(await states()).toEqual({ next: [], active: fresh, retiring: [] })
  expect(await verifies(oldToken, other)).toBe(false)
  const rows = () => house.db.selectFrom('signing_key').select('kid').execute()
  // Unless the instances have done so meanwhile.
  await house.rooms.signingKeys.sweep(10)
  expect((await rows()).map(({ kid }) => kid).toSorted()).toEqual(fresh.toSorted())
})

test('of two rotations at once one is done; while it is under way another is refused, and told when', async () => {
  const outcomes = await Promise.allSettled([
    house.rooms.signingKeys.rotate(),
    other.rooms.signingKeys.rotate(),
  ])
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  expect(await house.rooms.signingKeys.list()).toHaveLength(6)
  const [until] = (await house.rooms.signingKeys.list()).flatMap(({ retiresAt }) => retiresAt ?? [])
  await expect(house.rooms.signingKeys.rotate()).rejects.toMatchObject({
    code: 'keys_rotating',
    status: 409,
    message: expect.stringContaining(until?.toISOString() ?? 'a time'),
    retryAfterSeconds: expect.closeTo(DAY + 20 * MINUTE, -2),
  })
})

test('keys in wrong hands are withdrawn at once, also those that were to come', async () => {
  await takenUp()
  const client = await createApp()
  const token = client.token()
  const before = await kidsOf(house)
  const keys = await house.rooms.signingKeys.rotate({ now: true })
  expect(keys.map(({ state }) => state)).toEqual(['active', 'active', 'active'])
  await takenUp()
  expect(await verifies(token, house)).toBe(false)
  expect(before).not.toContain(await client.renew())
  const events = await house.db
    .selectFrom('audit_event')
    .select('detail')
    .where('type', '=', 'keys.rotated')
    .orderBy('id')
    .execute()
  expect(events.slice(-3).map(({ detail }) => detail.immediate)).toEqual([false, false, true])
})

/** Signs in at apps of two algorithms, whose ID tokens the other instance's keys verify. */
async function signInByAlgorithm(): Promise<void> {
  for (const algorithm of ['ES256', 'EdDSA'] as const) {
    const id = `by-${randomUUID()}`
    const flow = createFlow(house, {
      client: await house.addClient(id, { idTokenAlgorithm: algorithm }),
    })
    const { body } = await flow.redeem((await flow.complete('alex')).get('code') ?? '')
    expect(decodeProtectedHeader(String(body.id_token)).alg).toBe(algorithm)
    expect(await verifies(String(body.id_token), other)).toBe(true)
  }
}

const algorithms = async () =>
  (await house.rooms.signingKeys.list()).map(({ algorithm, state }) => `${algorithm} ${state}`)
const ALL_ACTIVE = ['ES256 active', 'EdDSA active', 'RS256 active']

test('an algorithm that a new version brings gets its key on a running installation, once [OIDC-36]', async () => {
  await house.db.deleteFrom('signing_key').where('algorithm', '=', 'EdDSA').execute()
  await house.db.deleteFrom('keyring').where('name', '=', 'signing-key-made/EdDSA').execute()
  await house.db
    .updateTable('signing_key')
    .set({ made_with: ['ES256', 'RS256'] })
    .execute()
  const others = await house.rooms.signingKeys.order()
  await Promise.all([house, other].map(({ rooms }) => rooms.signingKeys.load()))
  expect((await algorithms()).toSorted()).toEqual(ALL_ACTIVE)
  expect(await house.rooms.signingKeys.order()).toEqual(expect.arrayContaining(others))
  await takenUp()
  await signInByAlgorithm()
})

test('where 0.4.0 rotates beside them, instances add the key that it doesn’t know, once and in time (AVL-18)', async () => {
  const before = await house.rooms.signingKeys.order()
  await rotateByEarlierVersion(house)
  await vi.waitFor(async () => expect((await states()).next).toHaveLength(3), { timeout: 10_000 })
  await takenUp()
  const { next, active, retiring } = await states()
  expect([active.toSorted(), retiring]).toEqual([before.toSorted(), []])
  await signInByAlgorithm()
  const third = await startHouse({ beside: house })
  expect((await kidsOf(third)).toSorted()).toEqual([...before, ...next].toSorted())
  await third.stop()
  moveClock(11 * MINUTE)
  await takenUp()
  expect((await states()).active.toSorted()).toEqual(next.toSorted())
  await signInByAlgorithm()
  moveClock(DAY + 10 * MINUTE)
  expect((await algorithms()).toSorted()).toEqual(ALL_ACTIVE)

  // Nothing is left of the one that it doesn't know.
  await rotateByEarlierVersion(house, { now: true })
  await vi.waitFor(async () => expect((await algorithms()).toSorted()).toEqual(ALL_ACTIVE), {
    timeout: 10_000,
  })
  await takenUp()
  await signInByAlgorithm()
})

test('nothing private is listed', async () => {
  const [key] = await house.rooms.signingKeys.list()
  expect(Object.keys(key ?? {}).toSorted()).toEqual([
    'activatesAt',
    'algorithm',
    'createdAt',
    'kid',
    'retiresAt',
    'rotatesAt',
    'state',
  ])
})
