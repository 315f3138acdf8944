import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.ts'
import { HTTP_SECRETS, httpContract } from '../support/fake-http.ts'
import { createFlow, type Flow } from '../support/flow.ts'
import { reportFrom, startSmstools, stateOf, until, untilSettled } from '../support/gateways.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { reportFromTextbee, TEXTBEE_WEBHOOK } from '../support/reports.ts'

let smstools: FakeGateway
let receiver: FakeGateway
let env: Record<string, string>
let house: House
beforeAll(async () => {
  const started = await startSmstools()
  smstools = started.fake
  receiver = await startFakeGateway(httpContract)
  env = {
    ...started.env,
    HTTP_SMS_URL: receiver.baseUrl,
    HTTP_SMS_SECRET: HTTP_SECRETS.join(','),
    TEXTBEE_WEBHOOK_SECRET: TEXTBEE_WEBHOOK,
  }
})
beforeEach(() => {
  smstools.reset()
  receiver.reset()
})
afterEach(() => house.stop())
afterAll(async () => {
  await smstools.close()
  await receiver.close()
})

async function open(more: Record<string, string>): Promise<Flow> {
  house = await startHouse({ env: { ...env, SMS_DELIVERY_WAIT_SECONDS: '300', ...more } })
  await house.addClient()
  await house.addAccount('alex')
  return createFlow(house)
}

const codeIn = (text: string | undefined) => /#(\d+)$/.exec(text ?? '')?.[1] ?? ''

const LATE = 'Nobody has confirmed yet'
const ELSEWHERE = 'by another route'
/** How long "Send again" would make one wait. */
const AT_ONCE = 'data-seconds="0"'

test('a copy that is refused leaves the late text what it is, and its report still counts', async () => {
  const flow = await open({
    SMS_GATEWAYS: 'textbee,smstools',
    SMS_DELIVERY_WAIT_SECONDS: '1',
    VOICE_GATEWAYS: 'smstools',
  })
  house.gateway.mode = 'accept-never-deliver'
  smstools.answerNext({ status: 400, body: { error: '109', errorMsg: 'no sender' } })
  await flow.toCode('alex')
  const page = await until(() => flow.page(), LATE)
  expect(smstools.sends).toHaveLength(1)
  expect([page.status, stateOf(page)]).toEqual([200, 'overdue'])
  expect(page.html).not.toContain(ELSEWHERE)
  expect(page.html).not.toContain('data-code="not-delivered"')
  expect((await reportFromTextbee(house, 'delivered')).status).toBe(200)
  expect(stateOf(await flow.page())).toBe('delivered')
  const query = await flow.resume(await flow.code(codeIn(house.gateway.requests[0]?.text)))
  expect(query.get('code')).toBeTruthy()
})

test('a copy that is refused after the text failed: it can be sent again at once', async () => {
  const flow = await open({ SMS_GATEWAYS: 'smstools,textbee' })
  await flow.toCode('alex')
  house.gateway.mode = '4xx'
  expect((await flow.step('resend')).status).toBe(429)
  await reportFrom(house, smstools.messages[0]?.providerId ?? '', 'failed')
  const page = await until(() => flow.page(), AT_ONCE)
  expect(house.gateway.requests).toHaveLength(1)
  expect(page.html).toContain('didn’t reach')
  expect(page.html).toContain('data-code="not-delivered"')
  expect(page.html).not.toContain(ELSEWHERE)
  expect((await flow.step('resend')).status).toBe(303)
  expect(stateOf(await flow.page())).toBe('accepted')
  expect(smstools.messages.map(({ text }) => codeIn(text))).toEqual(
    Array(2).fill(codeIn(house.gateway.requests[0]?.text)),
  )
})

test('what was asked for again is no other route any more', async () => {
  const flow = await open({
    SMS_GATEWAYS: 'textbee,smstools',
    SMS_DELIVERY_WAIT_SECONDS: '1',
    OTP_RESEND_SECONDS: '1',
  })
  house.gateway.mode = 'accept-never-deliver'
  smstools.mode = 'accept-never-deliver'
  await flow.toCode('alex')
  await until(() => flow.page(), ELSEWHERE)
  house.moveClock(2)
  expect((await flow.step('resend')).status).toBe(303)
  expect((await flow.page()).html).not.toContain(ELSEWHERE)
  const late = await until(() => flow.page(), LATE)
  expect(late.html).not.toContain(ELSEWHERE)
})

test.each(['smstools,textbee', 'smstools,textbee,http'])(
  'of two copies by %s one was delivered: the other may fail',
  async (gateways) => {
    const flow = await open({ SMS_GATEWAYS: gateways })
    await flow.toCode('alex')
    house.moveClock(31)
    expect((await flow.step('resend')).status).toBe(303)
    expect(house.gateway.requests).toHaveLength(1)
    await reportFrom(house, smstools.messages[0]?.providerId ?? '', 'delivered')
    expect(stateOf(await flow.page())).toBe('delivered')
    await reportFromTextbee(house, 'failed')
    await untilSettled(house, 'textbee')
    const page = await flow.page()
    expect([page.status, stateOf(page)]).toEqual([200, 'delivered'])
    expect(page.html).not.toContain('data-code="not-delivered"')
    expect([smstools.sends.length, house.gateway.requests.length]).toEqual([1, 1])
    expect(receiver.sends).toEqual([])
    expect((await flow.step('resend')).status).toBe(429)
  },
)

test.each([
  { most: '2', sends: [1, 1, 0] },
  { most: '10', sends: [1, 1, 1] },
])(
  'three gateways that accept and never deliver, and at most $most sends: $sends',
  async ({ most, sends }) => {
    const flow = await open({
      SMS_GATEWAYS: 'textbee,smstools,http',
      SMS_DELIVERY_WAIT_SECONDS: '1',
      OTP_MAX_SENDS: most,
    })
    house.gateway.mode = 'accept-never-deliver'
    smstools.mode = 'accept-never-deliver'
    receiver.mode = 'accept-never-deliver'
    await flow.toCode('alex')
    await until(() => flow.page(), LATE, 25)
    for (const gateway of ['textbee', 'smstools', 'http']) await untilSettled(house, gateway)
    const texts = [house.gateway.requests, smstools.sends, receiver.sends]
    expect(texts.map(({ length }) => length)).toEqual(sends)
    const codes = texts.flat().map(({ text }) => codeIn(text))
    expect(new Set(codes).size).toBe(1)
    const query = await flow.resume(await flow.code(codes[0] ?? ''))
    expect(query.get('code')).toBeTruthy()
  },
)

test('a limit of the number counts what nobody asked for, and the page says what is left', async () => {
  const flow = await open({ SMS_GATEWAYS: 'smstools,textbee', SMS_LIMIT_PHONE_HOUR: '1' })
  const account = await house.rooms.accounts.findByUsername('alex')
  await house.rooms.backupCodes.issue(account?.id ?? '')
  await flow.toCode('alex')
  await reportFrom(house, smstools.messages[0]?.providerId ?? '', 'failed')
  const page = await until(() => flow.page(), AT_ONCE)
  expect(page.html).toContain('didn’t reach')
  expect(page.html).toContain('Use a backup code')
  await untilSettled(house, 'smstools')
  expect(house.gateway.requests).toEqual([])
  const refused = await flow.step('resend')
  expect(refused.status).toBe(429)
  expect(refused.html).toContain('data-code="phone-limit"')
  expect(refused.html).toContain('Use a backup code')
  expect(house.gateway.requests).toEqual([])
})

test('two instances that hear of a failure, and whose timers see it, send one copy', async () => {
  await open({ SMS_GATEWAYS: 'smstools,textbee' })
  const second = await startHouse({ beside: house })
  try {
    const people = ['bo', 'cleo', 'dana']
    for (const [index, name] of people.entries()) await house.addAccount(name, PHONES[index + 1])
    const flows = people.map((_, index) =>
      createFlow(house, { url: index % 2 ? second.url : house.url }),
    )
    await Promise.all(flows.map((flow, index) => flow.toCode(people[index] ?? '')))
    const ids = smstools.messages.map(({ providerId }) => providerId ?? '')
    expect(ids).toHaveLength(3)
    const reports = ids.flatMap((id) =>
      [house, second, second, house].map((each) => reportFrom(each, id, 'failed')),
    )
    for (const answer of await Promise.all(reports)) expect(answer.status).toBe(200)
    for (const flow of flows) await until(() => flow.page(), ELSEWHERE)
    await untilSettled(house, 'smstools')
    expect(house.gateway.requests.map(({ to }) => to).toSorted()).toEqual(PHONES.slice(1))
    const challenges = house.db.selectFrom('challenge').select(['sends', 'reroutes'])
    expect(await challenges.execute()).toEqual(Array(3).fill({ sends: 2, reroutes: 1 }))
  } finally {
    await second.stop()
  }
})
