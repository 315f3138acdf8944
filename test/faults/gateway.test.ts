import { afterAll, beforeAll, expect, test } from 'vitest'
import { apiWith, openApi } from '../support/api.ts'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { burst, createFlow } from '../support/flow.ts'
import { until } from '../support/gateways.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
let client: { id: string; secret: string }
beforeAll(async () => {
  house = await startHouse({ env: { TEXTBEE_TIMEOUT_MS: '2000' } })
  client = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
  await house.addAccount('waiting', PHONES[1])
})
afterAll(() => house.stop())

test('a gateway that refuses us shows: to who waits, with another way; to admins, with what to do; to strangers not (AVL-22)', async () => {
  await addAdmin(house, 'ada', 'admin', PHONES[2])
  const ada = await signInToConsole(house, 'ada', { phone: PHONES[2] })
  expect((await ada.get('/admin')).html).toContain('Nothing needs a look.')
  const api = await openApi(house, 'admin:read')
  const { id } = await house.addAccount('otherwise', PHONES[3])
  const [backupCode = ''] = await house.rooms.backupCodes.issue(id)
  house.gateway.mode = '4xx'

  const flow = createFlow(house, { client })
  await flow.toCode('otherwise')
  const page = await until(() => flow.page(), 'data-state="failed"')
  for (const words of ['data-code="not-delivered"', 'Use a backup code'])
    expect(page.html).toContain(words)
  // Each instance looks when it starts, and from time to time.
  const beside = await startHouse({ beside: house })
  const alerts = async () => (await api.get('/alerts')).json.items
  await expect
    .poll(alerts, { timeout: 10_000 })
    .toMatchObject([{ name: 'gateway-down:textbee', detail: { failure: 'config' }, endedAt: null }])
  await beside.stop()
  const overview = await ada.text('/admin')
  expect(overview).toContain('Gateway textbee is down')
  expect(overview).not.toContain('Nothing needs a look.')

  // It serves, so balancers go on sending; what is wrong with it is nobody else's business.
  const stranger = createFlow(house, { client })
  for (const [path, status] of [
    ['/readyz', 'ready'],
    ['/healthz', 'up'],
  ] as const) {
    const answer = await stranger.request(path)
    expect([answer.status, JSON.parse(answer.html)]).toEqual([200, { status }])
  }
  for (const { html } of [page, await stranger.begin(), await stranger.request('/')])
    expect(html).not.toMatch(/textbee|gateway/i)
  expect((await apiWith(house, '').get('/alerts')).status).toBe(401)
  const done = await flow.step('backup-code', { code: backupCode })
  expect((await flow.resume(done)).get('code')).toBeTruthy()
  house.gateway.reset()
  await house.db.deleteFrom('gateway_state').execute()
})

/** More than a gateway is given at a time. */
const TEXTS = 40

test('a gateway that hangs holds up nothing but its texts (AVL-02)', async () => {
  const session = createFlow(house, { client })
  await session.complete('alex')
  const codes = await burst(5, async () => {
    const { location = '' } = await session.request(session.authorizationUrl({ prompt: 'none' }))
    return new URL(location).searchParams.get('code') ?? ''
  })
  house.gateway.mode = 'hang'
  const waiting = await burst(TEXTS, async () => {
    const flow = createFlow(house, { client })
    await flow.begin()
    return flow
  })
  let answered = 0
  const passwords = waiting.map((flow) => flow.password('waiting').finally(() => answered++))
  const tokens = await burst(codes.length, (i) => session.redeem(codes[i] ?? ''))
  for (const { status } of tokens) expect(status).toBe(200)
  for (const path of ['/jwks', '/.well-known/openid-configuration', '/healthz', '/readyz'])
    expect((await session.request(path)).status).toBe(200)
  const bearer = { headers: { authorization: `Bearer ${tokens[0]?.body.access_token}` } }
  expect((await session.request('/me', bearer)).status).toBe(200)
  const silent = await session.request(session.authorizationUrl({ prompt: 'none' }))
  expect(silent.location).toContain('code=')
  expect((await createFlow(house, { client }).begin()).html).toContain('current-password')
  // All that while nobody's text was taken, and yet nobody is let in or left without a page.
  expect(answered).toBeLessThan(TEXTS)
  for (const answer of await Promise.all(passwords))
    expect([303, 429, 503]).toContain(answer.status)
  for (const flow of waiting) {
    const back = await flow.back()
    expect(back.location ?? '').not.toContain('code=')
  }
  house.gateway.reset()
})
