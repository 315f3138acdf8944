import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PASSWORD_ALONE } from '../../src/oidc/acr.ts'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { killChildren } from '../support/children.ts'
import { type Answer, burst, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, REDIRECT_URI, startHouse } from '../support/house.ts'
import { now, settle } from '../support/interactions.ts'
import { createVictims, killAmid } from '../support/killing.ts'
import { choosePassword } from '../support/links.ts'
import { postTo } from '../support/proofs.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import { addApp, appCode } from '../support/second-factors.ts'

/** What somebody brings along to a sign-in. */
interface Person {
  username: string
  phone: string
  /** how many texts they wait for before they type a code */
  texts?: number
  /** how many they had before they began */
  had?: number
  /** whether they would rather be called */
  calls?: true
  /** the key of their authenticator app */
  key?: string
  backupCode?: string
}

interface Kill {
  /** where the instance dies, where the step alone doesn't tell */
  where?: string
  step: string
  /** the table for which the step waits then */
  table: string
  waits?: 'reading'
  /** what they bring along beside a phone; `nothing`: they add the phone on the way */
  brings?: 'nothing' | 'app' | 'backup code'
  /** the app where it begins; `lax`: a password is enough there for those who have nothing more */
  at?: 'strange' | 'lax'
  /** whether they are signed in already, by a password alone */
  signedIn?: true
  calls?: true
  texts?: number
  /** whether they load again what didn't answer, and don't open the page anew */
  reloads?: true
  /** all they do at another instance, up to the app */
  after: readonly string[]
}

const FROM_THE_LOGIN_PAGE = ['password', 'page', 'code', 'resume']

const KILLS: readonly Kill[] = [
  {
    step: 'authorization',
    table: 'oidc_record',
    after: ['authorization', 'login page', ...FROM_THE_LOGIN_PAGE],
  },
  { step: 'login page', table: 'oidc_record', waits: 'reading', after: FROM_THE_LOGIN_PAGE },
  // The text is counted then, and wasn't sent.
  { step: 'password', table: 'message', after: ['resend', 'page', 'code', 'resume'] },
  // How it ended is stored then, and the page leads on.
  {
    where: 'password that is enough',
    step: 'password',
    table: 'oidc_record',
    brings: 'nothing',
    at: 'lax',
    after: ['resume'],
  },
  {
    step: 'step-up',
    table: 'message',
    signedIn: true,
    after: ['resend', 'page', 'code', 'resume'],
  },
  { step: 'page', table: 'challenge', waits: 'reading', after: ['code', 'resume'] },
  { step: 'resend', table: 'message', texts: 2, after: ['resend', 'page', 'code', 'resume'] },
  // A call says the code that was texted.
  { step: 'call', table: 'message', calls: true, after: ['code', 'resume'] },
  { step: 'code', table: 'challenge', after: ['code', 'resume'] },
  // It was used by then.
  {
    where: 'code, judged',
    step: 'code',
    table: 'oidc_record',
    waits: 'reading',
    reloads: true,
    after: ['resume'],
  },
  { step: 'app code', table: 'challenge', brings: 'app', after: ['app code', 'resume'] },
  {
    where: 'backup code, spent',
    step: 'backup code',
    table: 'oidc_record',
    waits: 'reading',
    brings: 'backup code',
    reloads: true,
    after: ['resume'],
  },
  {
    step: 'enrol-phone',
    table: 'message',
    brings: 'nothing',
    after: ['resend', 'page', 'code', 'enrol-finish', 'resume'],
  },
  {
    where: 'code that proves a new phone',
    step: 'code',
    table: 'challenge',
    brings: 'nothing',
    after: ['code', 'enrol-finish', 'resume'],
  },
  { step: 'enrol-finish', table: 'oidc_record', brings: 'nothing', after: ['resume'] },
  // The answer that is lost has the session in it.
  {
    step: 'resume',
    table: 'oidc_record',
    after: ['authorization', 'page', ...FROM_THE_LOGIN_PAGE],
  },
  { step: 'consent', table: 'oidc_record', at: 'strange', after: ['resume'] },
]

/** A step that is due, and how it is taken. */
interface Due {
  step: string
  take(): Promise<Answer>
}

const ALEX: Person = { username: 'alex', phone: PHONES[0] }

let house: House
let app: { id: string; secret: string }
let strange: { id: string; secret: string }
let lax: { id: string; secret: string }
let victims: ReturnType<typeof createVictims>
let balancer: Balancer | undefined
/** Where an app hears of sign-outs. */
let told: Receiver

beforeAll(async () => {
  told = await startReceiver()
  house = await startHouse({
    env: {
      WEBHOOK_ALLOWED_HOSTS: '127.0.0.1',
      // Nobody listens there: those who would call are killed before.
      VOICE_GATEWAYS: 'smstools',
      SMSTOOLS_BASE_URL: 'http://127.0.0.1:9',
      SMSTOOLS_CLIENT_ID: 'nobody',
      SMSTOOLS_CLIENT_SECRET: 'nothing',
      SMSTOOLS_WEBHOOK_SECRET: 'nothing-at-all',
    },
  })
  victims = createVictims(house, KILLS.length + 9)
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  strange = await house.addClient('strange', { firstParty: false })
  lax = await house.addClient('lax', { secondFactor: 'optional' })
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
function dueAfter(flow: Flow, person: Person, answer?: Answer): Due | undefined {
  const { location, html = '', status } = answer ?? {}
  if (location?.startsWith(REDIRECT_URI) && codeIn(answer)) return undefined
  if (location?.includes('/interaction/'))
    return { step: flow.path ? 'page' : 'login page', take: () => flow.arrive(location) }
  if (location?.startsWith(house.issuer))
    return { step: 'resume', take: () => flow.request(location) }
  if (html.includes('current-password'))
    return { step: 'password', take: () => flow.password(person.username) }
  if (html.includes('name="number"'))
    return { step: 'enrol-phone', take: () => flow.step('enrol-phone', { number: person.phone }) }
  if (html.includes('one-time-code')) return codeDue(flow, person)
  if (html.includes('/enrol-finish'))
    return { step: 'enrol-finish', take: () => flow.step('enrol-finish', { saved: 'yes' }) }
  if (html.includes('/step-up"')) return { step: 'step-up', take: () => flow.step('step-up') }
  if (html.includes('/consent')) return { step: 'consent', take: () => flow.step('consent') }
  if (status === 502 && flow.path)
    return { step: 'page', take: () => flow.arrive(new URL(flow.path, house.issuer).href) }
  return { step: 'authorization', take: () => flow.request(flow.authorizationUrl()) }
}

const codeIn = (answer?: Answer) =>
  new URL(answer?.location ?? house.issuer).searchParams.get('code') ?? ''

const xsrfOf = ({ html }: Answer) => /name="xsrf" value="(\w+)"/.exec(html)?.[1] ?? ''

const textsTo = (phone: string) => house.codeTexts().filter(({ to }) => to === phone).length

/** What is due where a code is asked for: whoever didn't get the text asks for another one. */
function codeDue(flow: Flow, { phone, key, backupCode, calls, texts = 1, had = 0 }: Person): Due {
  if (key) return { step: 'app code', take: () => flow.code(appCode(key, house.now())) }
  if (backupCode)
    return { step: 'backup code', take: () => flow.step('backup-code', { code: backupCode }) }
  if (textsTo(phone) < had + texts) return { step: 'resend', take: () => askAgain(flow, 'resend') }
  if (calls) return { step: 'call', take: () => askAgain(flow, 'call') }
  return { step: 'code', take: () => flow.code(house.lastCode(phone)) }
}

async function askAgain(flow: Flow, step: 'resend' | 'call'): Promise<Answer> {
  // As if the wait for another one were over.
  await sql`update challenge set last_sent_at = last_sent_at - interval '2 minutes'`.execute(
    house.db,
  )
  return flow.step(step)
}

/** How far somebody came, and by which steps. */
interface Way {
  due: Due | undefined
  code: string
  trail: Array<{ step: string; status: number }>
}

/**
 * Does what is due, from an answer or from the page that is open, up to a step that is left to the caller, or to
 * the app.
 */
async function goOn(
  flow: Flow,
  person = ALEX,
  { until, from }: { until?: string; from?: Answer } = {},
): Promise<Way> {
  let answer =
    from ?? (flow.path ? await flow.arrive(new URL(flow.path, house.issuer).href) : undefined)
  const trail: Way['trail'] = []
  for (let steps = 0; steps < 60; steps++) {
    const due = dueAfter(flow, person, answer)
    if (!due || due.step === until) return { due, code: codeIn(answer), trail }
    answer = await due.take()
    trail.push({ step: due.step, status: answer.status })
  }
  throw new Error(`stuck: ${trail.map(({ step, status }) => `${step} ${status}`).join('; ')}`)
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

/** Somebody of one's own for each kill. */
async function newPerson(i: number, { brings, calls, texts = 1 }: Kill): Promise<Person> {
  const person = {
    username: `victim${i}`,
    phone: `+4670123${5000 + i}`,
    texts,
    ...(calls && { calls }),
  }
  const withPhone = brings === undefined || brings === 'backup code'
  const account = await house.addAccount(person.username, withPhone ? person.phone : null)
  if (brings === 'app') return { ...person, key: await addApp(house, account) }
  if (brings !== 'backup code') return person
  const [backupCode = ''] = await house.rooms.backupCodes.issue(account.id)
  return { ...person, backupCode }
}

/** Into a session that is enough for the app that asks for less. */
async function signInByPassword({ jar }: Flow, { username }: Person): Promise<void> {
  const { id = '' } = (await house.rooms.accounts.findByUsername(username)) ?? {}
  const flow = createFlow(house, { client: lax, jar })
  await flow.begin()
  await settle(house, flow, { accountId: id, ts: now() - 60, ...PASSWORD_ALONE })
}

describe('a sign-in whose instance is killed', () => {
  test.each(KILLS.map((kill, i) => ({ kill, i, where: kill.where ?? kill.step })))(
    'amid $where goes on at another (AVL-09)',
    async ({ kill, i }) => {
      const { step, after, reloads, ...amid } = kill
      const person = await newPerson(i, kill)
      const instance = await victims.next()
      const flow = newFlow(instance.url, kill.at ? { strange, lax }[kill.at] : app)
      if (kill.signedIn) await signInByPassword(flow, person)
      const { due } = await goOn(flow, person, { until: step })
      expect(due?.step).toBe(step)
      await killAmid(house, instance, amid, async () => due?.take())
      flow.url = house.url
      const { calls: _, ...rest } = person
      const { code, trail } = await goOn(flow, rest, reloads && { from: await due?.take() })
      expect(trail.map((one) => one.step)).toEqual(after)
      expect((await flow.redeem(code)).status).toBe(200)
    },
  )
})

test('an instance killed amid connecting a device: its code is taken, and its person begins anew on the device (AVL-09)', async () => {
  const instance = await victims.next()
  await house.addClient('tv', { public: true, redirectUris: [], grants: ['device_code'] })
  const { body } = await postTo(house.url, '/device/auth', { client_id: 'tv', scope: 'openid' })
  const [user_code, device_code] = [String(body.user_code), String(body.device_code)]
  const flow = newFlow(instance.url)
  const type = async () => {
    const page = await flow.request('/device')
    return flow.post('/device', { xsrf: xsrfOf(page), user_code })
  }
  const confirmed = { xsrf: xsrfOf(await type()), user_code, confirm: 'yes' }
  await killAmid(house, instance, { table: 'oidc_record' }, () => flow.post('/device', confirmed))
  flow.url = house.url
  expect((await type()).html).toContain('Start again on your device to get a new one')
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
  const polled = await postTo(house.url, '/token', { grant_type, device_code, client_id: 'tv' })
  expect(polled.body.error).toBe('authorization_pending')
})

test('an instance killed amid setting a password by a link: nothing is set, and the link is still good (AVL-09)', async () => {
  const instance = await victims.next()
  const { id } = await house.addAccount('forgetful', null)
  const token = await house.rooms.links.make(house.db, id, 'password-reset')
  const flow = newFlow(instance.url, lax)
  const choose = () =>
    choosePassword(flow, `${house.issuer}/link/${token}`, 'quite another sentence')
  await killAmid(house, instance, { table: 'one_time_link' }, choose)
  flow.url = house.url
  await flow.begin()
  expect((await flow.password('forgetful')).status).toBe(303)
  expect((await choose()).location).toContain('/password/changed')
  await flow.begin()
  expect((await flow.password('forgetful')).status).toBe(401)
  expect((await flow.password('forgetful', 'quite another sentence')).status).toBe(303)
})

test('an instance killed amid telling an app of a sign-out leaves it to another, once its lease is over (AVL-20)', async () => {
  const instance = await victims.next()
  const client = await house.addClient('listener', { backchannelLogoutUri: told.url })
  const flow = newFlow(house.url, client)
  expect((await flow.redeem((await goOn(flow)).code)).status).toBe(200)
  flow.url = instance.url
  told.answer = 'hang'
  const xsrf = xsrfOf(await flow.request('/session/end'))
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
  const instances = [await victims.next(), await victims.next()]
  balancer = await startBalancer(instances.map(({ url }) => url))
  const { urls, url } = balancer
  let over = false
  let signedIn = 0
  const people = burst(3, async (i) => {
    const person = { username: `person${i}`, phone: PHONES[i + 1] ?? '' }
    await house.addAccount(person.username, person.phone)
    while (!over) {
      const flow = newFlow(url)
      const { code, trail } = await goOn(flow, { ...person, had: textsTo(person.phone) })
      expectNothingTwice(trail)
      const { status } = await flow.redeem(code)
      // A code whose answer was lost with its instance may be used; the app is told, and begins anew.
      if (status === 200) signedIn++
      else expect([400, 502]).toContain(status)
    }
  })
  // Whatever goes wrong is told at the end.
  people.catch(() => {})
  const someMore = async () => {
    const seen = signedIn
    while (signedIn < seen + 3) await pause(20)
  }
  for (const [i, signal] of (['SIGTERM', 'SIGKILL'] as const).entries()) {
    await someMore()
    instances[i]?.process.kill(signal)
    urls[i] = (await victims.next()).url
  }
  await someMore()
  over = true
  await people
})

/** Nobody is sent back, unless it is by an answer that was lost. */
function expectNothingTwice(trail: Way['trail']): void {
  const lost = trail.findIndex(({ status }) => status === 502)
  const taken = trail.slice(0, lost === -1 ? undefined : lost).map(({ step }) => step)
  for (const step of ['authorization', 'password'])
    expect(taken.filter((one) => one === step).length, taken.join(', ')).toBeLessThan(2)
}
