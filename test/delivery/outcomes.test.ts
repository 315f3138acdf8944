import { afterAll, beforeAll, expect, test } from 'vitest'
import { CODE_OUTCOMES } from '../../src/metrics.ts'
import { type Answer, createFlow, type Flow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

let house: House
let people = 0
beforeAll(async () => {
  house = await startHouse({ env: { OTP_MAX_SENDS: '1', OTP_MAX_ATTEMPTS: '3' } })
  await house.addClient()
})
afterAll(() => house.stop())

/** What was counted so far, without the noughts. */
async function counted(): Promise<Record<string, number>> {
  const text = await (await fetch(`${house.url}/metrics`)).text()
  const lines = [...text.matchAll(/^sallyport_codes_total\{outcome="([\w-]+)"\} (\d+)$/gm)]
  expect(lines.map(([, outcome]) => outcome).toSorted()).toEqual([...CODE_OUTCOMES].toSorted())
  return Object.fromEntries(lines.map(([, outcome, count]) => [outcome, Number(count)]))
}

function difference(before: Record<string, number>, after: Record<string, number>) {
  const grown = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)])
  return Object.fromEntries(grown.filter(([, count]) => count !== 0))
}

interface Standing {
  flow: Flow
  username: string
  code: () => string
  wrong: () => string
}

/** Someone who is asked for a code, and each way in which it can end. */
const WAYS: Record<string, (standing: Standing) => Promise<Answer>> = {
  wrong: ({ flow, wrong }) => flow.code(wrong()),

  async expired({ flow, code }) {
    house.moveClock(301)
    return flow.code(code())
  },

  async used({ flow, username, code }) {
    const before = code()
    expect((await flow.code(before)).status).toBe(303)
    const next = createFlow(house)
    await next.toCode(username)
    return next.code(before)
  },

  async 'too-many-tries'({ flow, wrong }) {
    await flow.code(wrong())
    await flow.code(wrong())
    return flow.code(wrong())
  },

  'too-many-sends': ({ flow }) => flow.step('resend'),

  async 'not-delivered'({ username }) {
    const body = { success: false, error: 'Invalid recipients' }
    house.gateway.answerNext({ status: 400, body })
    const next = createFlow(house)
    await next.toCode(username)
    return next.page()
  },
}

test.each([
  { way: 'wrong', status: 400, words: 'That code isn’t right', counts: { wrong: 1 } },
  { way: 'expired', status: 400, words: 'That code has expired', counts: { expired: 1 } },
  { way: 'used', status: 400, words: 'That code was used before', counts: { right: 1, used: 1 } },
  {
    way: 'too-many-tries',
    status: 403,
    words: 'Too many wrong codes',
    counts: { wrong: 3, 'too-many-tries': 1 },
  },
  {
    way: 'too-many-sends',
    status: 429,
    words: 'No more texts for this sign-in',
    word: 'no-sends-left',
    counts: { 'too-many-sends': 1 },
  },
  {
    way: 'not-delivered',
    status: 503,
    words: 'We couldn’t send a text to',
    counts: { 'not-delivered': 1 },
  },
])('a code that ends as $way says so in words, to programs and in the metrics', async (row) => {
  const { way, status, words, counts, word = way } = row
  const phone = `+4670123${4500 + ++people}`
  const username = `person${people}`
  await house.addAccount(username, phone)
  const flow = createFlow(house)
  await flow.toCode(username)
  const code = () => house.lastCode(phone)
  const wrong = () => (code() === '111111' ? '222222' : '111111')
  const before = await counted()
  const answer = await WAYS[way]?.({ flow, username, code, wrong })
  expect(answer?.status).toBe(status)
  expect(answer?.html).toContain(words)
  const codes = [...(answer?.html.matchAll(/data-code="([^"]+)"/g) ?? [])].map(([, found]) => found)
  expect(codes).toEqual([word])
  if (way === 'not-delivered') expect(answer?.html).toContain('data-state="failed"')
  expect(difference(before, await counted())).toEqual(counts)
})

test('looking again at what is over counts nothing', async () => {
  await house.addAccount('looker', '+46701239999')
  const flow = createFlow(house)
  await flow.toCode('looker')
  house.moveClock(301)
  const before = await counted()
  for (let looks = 0; looks < 3; looks++)
    expect((await flow.page()).html).toContain('data-code="expired"')
  expect(await counted()).toEqual(before)
})
