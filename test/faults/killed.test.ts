import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { killChildren } from '../support/children.ts'
import { type Answer, burst, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, REDIRECT_URI, startHouse } from '../support/house.ts'
import { startInstance } from '../support/instance.ts'
import { createVictims, killAmid } from '../support/killing.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import { headingOf } from '../support/second-factors.ts'

/** The steps of sign-ins, and for what table each waits when its instance is killed. */
const STEPS = [
  { step: 'authorization', table: 'oidc_record' },
  { step: 'login page', table: 'oidc_record', waits: 'reading' },
  // The text is counted then, and wasn't sent.
  { step: 'password', table: 'message' },
  { step: 'code', table: 'challenge' },
  { step: 'enrol-finish', table: 'oidc_record' },
  { step: 'resume', table: 'oidc_record' },
  { step: 'consent', table: 'oidc_record' },
] as const
type Step = (typeof STEPS)[number]['step']

/** A step that is due, and how it is taken. */
interface Due {
  step: Step | 'enrol-phone' | 'more'
  take(): Promise<Answer>
}

interface Person {
  username: string
  phone: string
}
const ALEX: Person = { username: 'alex', phone: PHONES[0] }

let house: House
let app: { id: string; secret: string }
let strange: { id: string; secret: string }
let victims: ReturnType<typeof createVictims>
let balancer: Balancer | undefined
/** Where an app hears of sign-outs. */
let told: Receiver

beforeAll(async () => {
  told = await startReceiver()
  house = await startHouse({ env: { WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' } })
  victims = createVictims(house, STEPS.length + 4)
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  strange = await house.addClient('strange', { firstParty: false })
  await house.addAccount(ALEX.username)
})
afterAll(async () => {
  await balancer?.close()
  await killChildren()
  await house.stop()
  await told.close()
})

const newFlow = (url = house.url, client = app) => createFlow(house, { client, url })

/** What a person does next who sees this; nothing, where the app has its code. */
function dueAfter(flow: Flow, { username, phone }: Person, answer?: Answer): Due | undefined {
  const { location, html = '' } = answer ?? {}
  if (location?.startsWith(REDIRECT_URI) && codeIn(answer)) return undefined
  if (location?.includes('/interaction/'))
    return { step: flow.path ? 'more' : 'login page', take: () => flow.arrive(location) }
  if (location?.startsWith(house.issuer))
    return { step: 'resume', take: () => flow.request(location) }
  if (html.includes('current-password'))
    return { step: 'password', take: () => flow.password(username) }
  if (html.includes('name="number"'))
    return { step: 'enrol-phone', take: () => flow.step('enrol-phone', { number: phone }) }
  if (html.includes('one-time-code')) return { step: 'code', take: () => typeCode(flow, phone) }
  if (html.includes('/enrol-finish'))
    return { step: 'enrol-finish', take: () => flow.step('enrol-finish', { saved: 'yes' }) }
  if (html.includes('/consent')) return { step: 'consent', take: () => flow.step('consent') }
  return { step: 'authorization', take: () => flow.request(flow.authorizationUrl()) }
}

const codeIn = (answer?: Answer) =>
  new URL(answer?.location ?? house.issuer).searchParams.get('code') ?? ''

/** The code in the text that came; who got none asks for another one. */
async function typeCode(flow: Flow, phone: string): Promise<Answer> {
  if (!house.codeTexts().some(({ to }) => to === phone)) {
    // As if the wait for another one were over.
    await sql`update challenge set last_sent_at = last_sent_at - interval '31 seconds'`.execute(
      house.db,
    )
    expect((await flow.step('resend')).status).toBe(303)
  }
  return flow.code(house.lastCode(phone))
}

/** Does what is due, from the page that is open, up to a step that is left to the caller, or to the app. */
async function goOn(
  flow: Flow,
  person = ALEX,
  until?: Step,
): Promise<{ due: Due | undefined; code: string }> {
  let answer = flow.path ? await flow.arrive(new URL(flow.path, house.issuer).href) : undefined
  const trail: string[] = []
  for (let steps = 0; steps < 60; steps++) {
    const due = dueAfter(flow, person, answer)
    if (!due || due.step === until) return { due, code: codeIn(answer) }
    answer = await due.take()
    trail.push(`${due.step} ${answer.status} ${headingOf(answer)}`)
  }
  throw new Error(`stuck: ${trail.join('; ')}`)
}

/** Whatever there is of a model, and when it was used. */
const records = (model: string) =>
  house.db.selectFrom('oidc_record').select('consumed_at').where('model', '=', model).execute()

test('an instance killed amid redeeming a code, which is used then: no tokens, a clear error, and a new start (input 111)', async () => {
  const instance = await victims.next()
  const flow = newFlow()
  const { code } = await goOn(flow)
  flow.url = instance.url
  await killAmid(house, instance, { table: 'oidc_record' }, () => flow.redeem(code))
  flow.url = house.url
  expect((await records('AuthorizationCode')).filter((row) => row.consumed_at)).toHaveLength(1)
  const late = await flow.redeem(code)
  expect([late.status, late.body.error]).toEqual([400, 'invalid_grant'])
  // What it had been given for, and nobody got, is taken back.
  expect(await records('AccessToken')).toEqual([])
  expect(await records('RefreshToken')).toEqual([])
  const again = newFlow()
  expect((await again.redeem((await goOn(again)).code)).status).toBe(200)
})

test('an instance killed amid a renewal: the old token, shown again, ends its family, and the app has the person sign in (AVL-09)', async () => {
  const instance = await victims.next()
  const flow = newFlow()
  const { body } = await flow.redeem((await goOn(flow)).code)
  const renew = () =>
    flow.redeem('', { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) })
  flow.url = instance.url
  await killAmid(house, instance, { table: 'oidc_record' }, renew)
  flow.url = house.url
  // Whoever else might show it: two have it, so none may go on with it.
  expect((await renew()).body.error).toBe('invalid_grant')
  const bearer = { headers: { authorization: `Bearer ${body.access_token}` } }
  expect((await flow.request('/me', bearer)).status).toBe(401)
  // The session at the provider is no part of it.
  const silent = await flow.request(flow.authorizationUrl({ prompt: 'none' }))
  expect((await flow.redeem(codeIn(silent))).status).toBe(200)
})

describe('a sign-in whose instance is killed', () => {
  test.each(STEPS)('amid $step goes on at another (AVL-09)', async ({ step, ...amid }) => {
    const instance = await victims.next()
    const newcomer = step.startsWith('enrol')
    const phone = `+4670123${5000 + STEPS.findIndex((one) => one.step === step)}`
    const person = { username: step.replace(' ', '-'), phone }
    await house.addAccount(person.username, newcomer ? null : person.phone)
    const flow = newFlow(house.url, step === 'consent' ? strange : app)
    const { due } = await goOn(flow, person, step)
    expect(due?.step).toBe(step)
    flow.url = instance.url
    await killAmid(house, instance, amid, async () => due?.take())
    flow.url = house.url
    const { code } = await goOn(flow, person)
    expect((await flow.redeem(code)).status).toBe(200)
  })
})

test('an instance killed amid telling an app of a sign-out leaves it to another, once its lease is over (AVL-20)', async () => {
  const instance = await victims.next()
  const client = await house.addClient('listener', { backchannelLogoutUri: told.url })
  const flow = newFlow(house.url, client)
  expect((await flow.redeem((await goOn(flow)).code)).status).toBe(200)
  flow.url = instance.url
  told.answer = 'hang'
  const { html } = await flow.request('/session/end')
  const xsrf = /name="xsrf" value="(\w+)"/.exec(html)?.[1] ?? ''
  const out = flow.post('/session/end/confirm', { xsrf, logout: 'yes' })
  out.catch(() => {})
  await expect.poll(() => told.requests.length).toBe(1)
  instance.process.kill('SIGKILL')
  await instance.ended
  told.answer = 200
  const [left] = await house.db.selectFrom('logout_delivery').select('tries').execute()
  expect(left?.tries).toBe(1)
  await sql`update logout_delivery set next_try_at = next_try_at - interval '1 minute'`.execute(
    house.db,
  )
  await expect.poll(() => told.requests.length, { timeout: 10_000 }).toBe(2)
  for (const { body } of told.requests) expect(body).toContain('logout_token=')
})

test('instances that are replaced one by one, by SIGTERM and by kill -9, lose no sign-in (AVL-09, AVL-10, AVL-18)', {
  timeout: 90_000,
}, async () => {
  let instance = await victims.next()
  balancer = await startBalancer([instance.url, house.url])
  const { urls, url } = balancer
  let over = false
  let signedIn = 0
  const people = burst(3, async (i) => {
    const person = { username: `person${i}`, phone: PHONES[i + 1] ?? '' }
    await house.addAccount(person.username, person.phone)
    while (!over) {
      const flow = newFlow(url)
      const { status } = await flow.redeem((await goOn(flow, person)).code)
      // A code whose answer was lost with its instance may be used; the app is told, and begins anew.
      if (status === 200) signedIn++
      else expect([400, 502]).toContain(status)
    }
  })
  // Whatever goes wrong is told at the end.
  people.catch(() => {})
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const seen = signedIn
    while (signedIn < seen + 3) await pause(20)
    instance.process.kill(signal)
    instance = await startInstance(house)
    urls[0] = instance.url
  }
  const seen = signedIn
  while (signedIn < seen + 3) await pause(20)
  over = true
  await people
})
