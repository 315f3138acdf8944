import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { killChildren } from '../support/children.ts'
import { type Answer, burst, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, REDIRECT_URI, startHouse } from '../support/house.ts'
import { startInstance } from '../support/instance.ts'

type Instance = Awaited<ReturnType<typeof startInstance>>

let house: House
let app: { id: string; secret: string }
let balancer: Balancer | undefined

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
})
afterAll(async () => {
  await balancer?.close()
  await killChildren()
  await house.stop()
})

const newFlow = (url = house.url) => createFlow(house, { client: app, url })

/** What a person does who sees the page that is due, and knows the way back to the app. */
async function goOn(flow: Flow, username = 'alex', phone: string = PHONES[0]): Promise<string> {
  let answer: Answer = flow.path ? await flow.page() : await flow.begin()
  for (let steps = 0; steps < 30; steps++) {
    const { location, html } = answer
    const code = location?.startsWith(REDIRECT_URI) && new URL(location).searchParams.get('code')
    if (code) return code
    if (location?.includes('/interaction/')) answer = await flow.arrive(location)
    else if (location?.startsWith(house.issuer)) answer = await flow.request(location)
    else if (html.includes('current-password')) answer = await flow.password(username)
    else if (html.includes('one-time-code')) answer = await flow.code(house.lastCode(phone))
    else answer = await flow.begin()
  }
  throw new Error(`stuck at ${answer.status}: ${answer.html}`)
}

/** Until a statement waits for a row that this test holds. */
async function untilOneWaits(): Promise<void> {
  for (;;) {
    const { rows } = await sql`select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(house.db)
    if (rows.length > 0) return
    await pause(10)
  }
}

/** Lets an instance begin a request and kills it while the request's writing waits for a row of a table. */
async function killAmid(
  instance: Instance,
  table: 'challenge' | 'oidc_record',
  request: () => Promise<unknown>,
): Promise<void> {
  await house.db.transaction().execute(async (trx) => {
    await sql`select from ${sql.table(table)} for update`.execute(trx)
    const answer = request().then(
      () => 'an answer',
      () => 'no answer',
    )
    await untilOneWaits()
    instance.process.kill('SIGKILL')
    expect(await answer).toBe('no answer')
  })
  await instance.ended
}

/** Until nothing of what the killed instance began goes on in the database. */
async function untilNothingRuns(): Promise<void> {
  for (;;) {
    const { rows } = await sql`select from pg_stat_activity
      where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()
        and query like '%oidc_record%'`.execute(house.db)
    if (rows.length === 0) return
    await pause(10)
  }
}

test('an instance killed amid redeeming a code, which is used then: no tokens, a clear error, and a new start (input 111)', async () => {
  const instance = await startInstance(house)
  const flow = newFlow(instance.url)
  const code = (await flow.complete('alex')).get('code') ?? ''
  await killAmid(instance, 'oidc_record', () => flow.redeem(code))
  // The database goes through with what it was sent, though nobody is there to hear of it.
  await untilNothingRuns()
  flow.url = house.url
  const records = async (model: string) =>
    house.db.selectFrom('oidc_record').select('consumed_at').where('model', '=', model).execute()
  expect((await records('AuthorizationCode')).filter((row) => row.consumed_at)).toHaveLength(1)
  const late = await flow.redeem(code)
  expect([late.status, late.body.error]).toEqual([400, 'invalid_grant'])
  // What it had been given for, and nobody got, is taken back.
  expect(await records('AccessToken')).toEqual([])
  expect(await records('RefreshToken')).toEqual([])
  const again = newFlow()
  expect((await again.redeem(await goOn(again))).status).toBe(200)
})

test('an instance killed amid judging a code: the guess may be counted, and the same code still lets in elsewhere (AVL-09)', async () => {
  const instance = await startInstance(house)
  const flow = newFlow(instance.url)
  await flow.toCode('alex')
  await killAmid(instance, 'challenge', () => flow.code(house.lastCode()))
  flow.url = house.url
  expect((await flow.redeem(await goOn(flow))).status).toBe(200)
})

test('instances that are replaced one by one, by SIGTERM and by kill -9, lose no sign-in (AVL-09, AVL-10, AVL-18)', {
  timeout: 90_000,
}, async () => {
  const instances = await Promise.all([startInstance(house), startInstance(house)])
  balancer = await startBalancer(instances.map(({ url }) => url))
  const { urls, url } = balancer
  let over = false
  let signedIn = 0
  const people = burst(3, async (i) => {
    const phone = PHONES[i + 1] ?? ''
    const { username } = await house.addAccount(`person${i}`, phone)
    while (!over) {
      const flow = newFlow(url)
      const { status } = await flow.redeem(await goOn(flow, username, phone))
      // A code whose answer was lost with its instance may be used; the app is told, and begins anew.
      if (status === 200) signedIn++
      else expect([400, 502]).toContain(status)
    }
  })
  // Whatever goes wrong is told at the end.
  people.catch(() => {})
  for (const [index, signal] of (['SIGTERM', 'SIGKILL'] as const).entries()) {
    const seen = signedIn
    while (signedIn < seen + 3) await pause(20)
    instances[index]?.process.kill(signal)
    const fresh = await startInstance(house)
    urls[index] = fresh.url
  }
  const seen = signedIn
  while (signedIn < seen + 3) await pause(20)
  over = true
  await people
})
