import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFlow, type Flow } from '../support/flow.ts'
import { expectStillOpen, guessesCounted, isSignedIn, otherThan } from '../support/guesses.ts'
import { type House, startHouse } from '../support/house.ts'
import { exchange, head } from '../support/raw.ts'

const FORM = 'application/x-www-form-urlencoded'

let house: House
let flow: Flow
let code: string
/** two requests whose bodies never end, begun first because they take as long as the server lets them */
let endless: Promise<{ answer: string; seconds: number }>[]

beforeAll(async () => {
  house = await startHouse()
  await house.addClient('app')
  await house.addAccount('alex')
  flow = createFlow(house)
  await flow.toCode('alex')
  code = house.lastCode()
  const chunked = { 'Content-Length': undefined, 'Transfer-Encoding': 'chunked' }
  endless = [
    timed(exchange(house.config.port, await rawPost(9999), 'a')),
    timed(exchange(house.config.port, await rawPost(0, chunked), '1\r\na\r\n')),
    timed(
      exchange(house.config.port, `POST ${flow.path}/code HTTP/1.1\r\nHost: x\r\n`, 'X-A: b\r\n'),
    ),
  ]
})
afterAll(() => house.stop())

async function timed(exchanged: Promise<string>) {
  const began = performance.now()
  return { answer: await exchanged, seconds: (performance.now() - began) / 1000 }
}

/** The head of the code form's POST, as this browser would send it. */
async function rawPost(length: number, more: Record<string, string | undefined> = {}) {
  return head('POST', `${flow.path}/code`, {
    Cookie: await flow.jar.getCookieString(new URL(flow.path, house.issuer).href),
    Origin: house.issuer,
    'Content-Type': FORM,
    'Content-Length': String(length),
    ...more,
  })
}

function rightForm(): string {
  return new URLSearchParams({ form_token: flow.formToken, code }).toString()
}

async function expectNoStep(): Promise<void> {
  expect(await guessesCounted(house)).toBe(0)
  expect(await isSignedIn(flow)).toBe(false)
  expect(house.gateway.requests).toHaveLength(1)
}

describe('a body', () => {
  test.each([
    ['application/xml', () => `<code>${code}</code>`],
    ['application/json', () => JSON.stringify({ form_token: flow.formToken, code })],
    ['text/plain', rightForm],
    ['', rightForm],
    ['application/x-www-form-urlencoded-not', rightForm],
  ])('of type %j is not read (input 74)', async (type, body) => {
    const answer = await flow.request(`${flow.path}/code`, {
      method: 'POST',
      body: body(),
      headers: { 'content-type': type, origin: house.issuer },
    })
    expect(answer.status).toBe(415)
    await expectNoStep()
  })

  test('in parts is not read (input 74)', async () => {
    const body = new FormData()
    body.set('form_token', flow.formToken)
    body.set('code', code)
    const headers = { origin: house.issuer }
    const answer = await flow.request(`${flow.path}/code`, { method: 'POST', body, headers })
    expect(answer.status).toBe(415)
    await expectNoStep()
  })

  test.each(['gzip', 'deflate', 'br', 'identity, gzip'])(
    'in %s is not unpacked (input 74)',
    async (encoding) => {
      for (const plain of [rightForm(), 'x'.repeat(2 ** 24)]) {
        const answer = await flow.request(`${flow.path}/code`, {
          method: 'POST',
          body: gzipSync(plain),
          headers: { 'content-type': FORM, 'content-encoding': encoding, origin: house.issuer },
        })
        expect(answer.status).toBe(415)
      }
      await expectNoStep()
    },
  )

  test.each([
    ['10 MB', () => `code=${'1'.repeat(10 * 2 ** 20)}`],
    ['100 000 fields', () => 'a=&'.repeat(100_000)],
    ['1000 levels', () => `${'a[b]'.repeat(5000)}=1`],
  ])('of %s is refused by its size, fast (input 74, WEB-14)', async (_what, body) => {
    const began = performance.now()
    const answer = await flow.request(`${flow.path}/code`, {
      method: 'POST',
      body: body(),
      headers: { 'content-type': FORM, origin: house.issuer },
    })
    expect(answer.status).toBe(413)
    expect(performance.now() - began).toBeLessThan(2000)
    await expectNoStep()
  })

  test('with many fields or deep ones within its size does nothing but what its own fields say (WEB-14)', async () => {
    for (const noise of ['&b'.repeat(5000), `&a${'[b]'.repeat(4000)}=1`, `&${'%'.repeat(9000)}`]) {
      const answer = await flow.request(`${flow.path}/code`, {
        method: 'POST',
        body: `form_token=${flow.formToken}&code=x${noise}`,
        headers: { 'content-type': FORM, origin: house.issuer },
      })
      expect(answer.status).toBe(400)
    }
    await expectNoStep()
  })

  test('whose end can be read in two ways is refused, and the connection closed (input 75, WEB-21)', async () => {
    const body = rightForm()
    const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    const smuggled = head('GET', '/smuggled', {})
    for (const more of [
      { 'Transfer-Encoding': 'chunked' },
      { 'Transfer-Encoding': 'chunked, identity', 'Content-Length': undefined },
      { 'Transfer-Encoding': 'xchunked', 'Content-Length': undefined },
      { 'Transfer-Encoding': 'identity' },
      { 'Content-Length': `${body.length}\r\nContent-Length: ${body.length + 1}` },
      { 'Content-Length': '+5' },
      { 'Content-Length': '-1' },
      { 'Content-Length ': '5' },
      { 'X-Folded': 'a\r\n b' },
      { 'X-Bare': 'a\nContent-Length: 1' },
    ]) {
      const request = await rawPost(body.length, { Connection: 'keep-alive', ...more })
      const answer = await exchange(house.config.port, `${request}${chunk}${smuggled}`)
      expect(answer, JSON.stringify(more)).toMatch(/^HTTP\/1.1 400 /)
      expect(answer.match(/HTTP\/1.1 /g)).toHaveLength(1)
    }
    await expectNoStep()
  })
})

describe('a path that is nearly right', () => {
  const variants = (step: string): string[] => [
    `/${flow.path}/${step}`,
    `/interaction//${flow.path.split('/').at(-1)}//${step}`,
    `${flow.path}/${step}/`,
    `${flow.path}/${step};a=b`,
    `${flow.path}/${step}%00`,
    `${flow.path}/${step}%20`,
    `${flow.path}/./${step}`,
    `${flow.path}/x/../${step}`,
    `${flow.path}%2f${step}`,
    `${flow.path.replace('interaction', 'Interaction')}/${step}`,
    `${flow.path}/${step.toUpperCase()}`,
    `${flow.path.toUpperCase()}/${step}`,
    `\\${flow.path}\\${step}`,
  ]

  test('leads nowhere (input 61, THR-09)', async () => {
    const body = rightForm()
    for (const step of ['code', 'login', 'resend']) {
      for (const path of variants(step)) {
        const request = (await rawPost(body.length)).replace(/^POST \S+/, `POST ${path}`)
        const answer = await exchange(house.config.port, `${request}${body}`)
        expect(answer, path).toMatch(/^HTTP\/1.1 40[04] /)
      }
    }
    await expectNoStep()
  })

  test('or with a query counts like the right one (input 61, THR-09)', async () => {
    const answer = await flow.post(`${flow.path}/code?x=1&code=${code}`, {
      form_token: flow.formToken,
      code: otherThan(code),
    })
    expect(answer.status).toBe(400)
    expect(await guessesCounted(house)).toBe(1)
    await house.db.updateTable('challenge').set({ attempts: 0 }).execute()
  })

  test('of an interaction there isn’t is refused, without a fault (input 70, ENU-07)', async () => {
    const other = createFlow(house)
    await other.begin()
    const own = new URL(other.path, house.issuer).pathname.split('/').at(-1) ?? ''
    const uids = [
      '..',
      '%2e%2e',
      '%2e%2e%2f',
      '%00',
      '%',
      '%ff',
      '%E2%28%A1',
      '__proto__',
      "'",
      own,
    ]
    for (const uid of [...uids, 'a'.repeat(10_000), 'a'.repeat(43), `${flow.path.slice(13)}x`]) {
      for (const [method, step] of [
        ['GET', ''],
        ['POST', '/code'],
        ['POST', '/login'],
        ['POST', '/cancel'],
      ]) {
        const body = rightForm()
        const path = `/interaction/${uid}${step}`
        const request = (await rawPost(body.length)).replace(/^POST \S+/, `${method} ${path}`)
        const answer = await exchange(house.config.port, `${request}${body}`)
        expect(answer, path).toMatch(/^HTTP\/1.1 40[04] /)
      }
    }
    await expectNoStep()
  })
})

test('the right code still opens the door after all that', async () => {
  await expectStillOpen(flow, code)
})

test('a request that never ends is cut, and never answered as if it had (input 73)', async () => {
  for (const { answer, seconds } of await Promise.all(endless)) {
    expect(answer === '' || /^HTTP\/1.1 408 /.test(answer), answer).toBe(true)
    expect(seconds).toBeLessThan(25)
  }
})
