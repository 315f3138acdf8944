import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { signInToAccount } from '../support/account.ts'
import { type FakeGateway, startFakeGateway } from '../support/fake-gateway.ts'
import { ACCESS_KEY, errors, fakeMessagebird } from '../support/fake-messagebird.ts'
import {
  createFakeTelnyx,
  TELNYX_CODE,
  TELNYX_KEY,
  TELNYX_VERIFY_PROFILE,
} from '../support/fake-telnyx.ts'
import { type Answer, claimsOf, createFlow } from '../support/flow.ts'
import { stateOf } from '../support/gateways.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'
import { startSimSwap } from '../support/sim-swap.ts'

const [OLD, OWN, FOREIGN] = PHONES

interface Verifier {
  name: string
  env: Record<string, string>
  refusal: { status: number; body: object }
}

const VERIFIERS: Record<string, Verifier> = {
  messagebird: {
    name: 'messagebird-verify',
    env: { MESSAGEBIRD_ACCESS_KEY: ACCESS_KEY },
    refusal: { status: 422, body: errors(9, 'recipient') },
  },
  telnyx: {
    name: 'telnyx-verify',
    env: { TELNYX_API_KEY: TELNYX_KEY, TELNYX_VERIFY_PROFILE_ID: TELNYX_VERIFY_PROFILE },
    refusal: { status: 422, body: { errors: [{ code: '10015', title: 'No.' }] } },
  },
}

const contracts = { messagebird: fakeMessagebird(), telnyx: createFakeTelnyx() }
let operator: Awaited<ReturnType<typeof startSimSwap>>
let house: House
beforeAll(async () => {
  operator = await startSimSwap()
})
beforeEach(() => operator.reset())
afterEach(() => house.stop())
afterAll(() => operator.close())

describe.each(['messagebird', 'telnyx'] as const)('a code that %s made', (which) => {
  const verifier = VERIFIERS[which] ?? { name: '', env: {}, refusal: { status: 500, body: {} } }
  let fake: FakeGateway
  beforeAll(async () => {
    fake = await startFakeGateway(contracts[which])
  })
  beforeEach(() => fake.reset())
  afterAll(() => fake.close())

  async function open(): Promise<void> {
    house = await startHouse({
      env: {
        ...verifier.env,
        SMS_GATEWAYS: verifier.name,
        [`${which.toUpperCase()}_BASE_URL`]: fake.baseUrl,
        SIM_SWAP_URL: operator.url,
      },
    })
    await house.addClient()
  }

  /** What a phone got. */
  const codeTo = (phone: string) => fake.messages.findLast(({ to }) => to === phone)?.text ?? ''

  /** Someone who adds a first phone, and has typed their own number. */
  async function enrolling() {
    await open()
    const { id } = await house.addAccount('alex', null)
    const flow = createFlow(house)
    await flow.toCode('alex')
    await flow.step('enrol-phone', { number: OWN })
    const code = codeTo(OWN)
    expect(code).toMatch(/^\d{6}$/)
    await flow.step('enrol-other')
    return { id, flow, code }
  }

  async function proven(accountId: string): Promise<string[]> {
    const phones = await house.rooms.phones.list(accountId)
    return phones.filter(({ verified }) => verified).map(({ number }) => number)
  }

  function expectWrong({ status, html }: Answer): void {
    expect(status).toBe(400)
    expect(html).toContain('data-code="wrong"')
  }

  test('lets in at a plain sign-in', async () => {
    await open()
    await house.addAccount('alex')
    const flow = createFlow(house, { client: await house.addClient('site') })
    await flow.toCode('alex')
    const code = codeTo(OLD)
    if (which === 'telnyx') expect(code).toBe(TELNYX_CODE)
    expectWrong(await flow.code(code === '111111' ? '222222' : '111111'))
    const query = await flow.resume(await flow.code(code))
    const { body } = await flow.redeem(query.get('code') ?? '')
    expect(claimsOf(body).amr).toEqual(['pwd', 'otp', 'sms', 'mfa'])
    expect(fake.faults).toEqual([])
  })

  test('proves no other number, which it refused to send to', async () => {
    const { id, flow, code } = await enrolling()
    fake.answerNext(verifier.refusal)
    await flow.step('enrol-phone', { number: FOREIGN })
    expect(stateOf(await flow.page())).toBe('failed')
    expectWrong(await flow.code(code))
    expect(await proven(id)).toEqual([])
    // Its own phone it still proves, by a code that is sent there.
    await flow.step('enrol-other')
    await flow.step('enrol-phone', { number: OWN })
    expect((await flow.code(codeTo(OWN))).html).toContain('backup codes')
    expect(await proven(id)).toEqual([OWN])
  })

  test('proves no other number, whose SIM was swapped', async () => {
    const { id, flow, code } = await enrolling()
    operator.swapped.add(FOREIGN)
    await flow.step('enrol-phone', { number: FOREIGN })
    expect(stateOf(await flow.page())).toBe('sim-swapped')
    expectWrong(await flow.code(code))
    expect(await proven(id)).toEqual([])
  })

  test.each(['refused', 'swapped'])(
    'proves no other number at the account page: %s',
    async (why) => {
      await open()
      const { id } = await house.addAccount('alex')
      const [backupCode = ''] = await house.rooms.backupCodes.issue(id)
      const me = await signInToAccount(house, 'alex', { backupCode })
      const add = (number: string) =>
        me.post('/account/phones/add', { number, country: '', password: PASSWORD })
      await add(OWN)
      const code = codeTo(OWN)
      expect(code).toMatch(/^\d{6}$/)
      if (why === 'refused') fake.answerNext(verifier.refusal)
      else operator.swapped.add(FOREIGN)
      await add(FOREIGN)
      expect(stateOf(await me.get('/account/phones/prove'))).toMatch(/^(failed|sim-swapped)$/)
      expectWrong(await me.post('/account/phones/prove', { code }))
      expect(await proven(id)).toEqual([OLD])
    },
  )
})
