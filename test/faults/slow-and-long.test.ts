import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signInToAccount } from '../support/account.ts'
import { burst, createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

let house: House
let client: { id: string; secret: string }
beforeAll(async () => {
  house = await startHouse()
  client = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
})
afterAll(() => house.stop())

describe('100 kB in any field (AVL-17)', () => {
  const LONG: Record<string, string> = {
    digits: '1'.repeat(100_000),
    spaces: `${' '.repeat(100_000)}x`,
    'an address that goes on': `a@${'a.'.repeat(50_000)}`,
    'a number that goes on': `+${'(46)-'.repeat(20_000)}`,
  }
  const TOO_LONG = [400, 413, 414, 431]

  test.each(Object.keys(LONG))('of %s is refused before anything looks into it', async (name) => {
    const long = LONG[name] ?? ''
    const flow = createFlow(house, { client })
    await flow.toCode('alex')
    const me = await signInToAccount(house, 'alex')
    const before = house.statements.length
    const forms: Array<[string, Record<string, string>]> = [
      ...['username', 'password'].map((field): [string, Record<string, string>] => [
        `${flow.path}/login`,
        { username: 'alex', password: 'x', [field]: long },
      ]),
      ...['code', 'backup-code', 'enrol-phone', 'enrol-app', 'phone', 'resend', 'consent'].map(
        (step): [string, Record<string, string>] => [
          `${flow.path}/${step}`,
          { code: long, number: long, phone: long },
        ],
      ),
      ['/password/forgotten', { username: long }],
      ['/account/phones/add', { number: long, country: long }],
      ['/account/phones/prove', { code: long }],
      ['/account/password', { current: long, password: long, again: long }],
      ['/session/end/confirm', { xsrf: long, logout: long }],
    ]
    for (const [path, fields] of forms) {
      const browser = path.startsWith('/account') ? me.flow : flow
      const token = path.startsWith('/account') ? me.token : flow.formToken
      const answer = await browser.post(path, { form_token: token, ...fields })
      expect(TOO_LONG, `${path}: ${answer.status}`).toContain(answer.status)
    }
    const fields = [
      ...['client_id', 'redirect_uri', 'scope', 'state', 'nonce', 'login_hint', 'ui_locales'],
      ...['acr_values', 'claims', 'prompt', 'max_age', 'id_token_hint', 'code_challenge'],
    ]
    for (const field of fields) {
      const { status } = await flow.request(flow.authorizationUrl({ [field]: long }))
      expect(TOO_LONG, `authorization, ${field}: ${status}`).toContain(status)
    }
    for (const field of ['code', 'redirect_uri', 'code_verifier', 'refresh_token', 'scope'])
      expect(TOO_LONG, field).toContain((await flow.redeem('x', { [field]: long })).status)
    const asked = house.statements.slice(before).filter((statement) => !/^select/i.test(statement))
    expect(asked).toEqual([])
    const back = await flow.request(flow.path.replace('/interaction/', '/auth/'))
    expect(back.location ?? '').not.toContain('code=')
  })
})

// Last: the server is busy with what is left of them for a while.
describe('five hundred connections that never come to an end (AVL-16)', () => {
  const COUNT = 500
  /** Each says less than its request: of the head, or of the body. */
  const HALVES = [
    'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
    'POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n\r\ngrant_type=',
  ]

  test('leave room for everybody else, and are cut off', async () => {
    const sockets = await burst(COUNT, async (i): Promise<Socket> => {
      const socket = connect(house.config.port, '127.0.0.1')
      socket.on('error', () => {}).resume()
      await once(socket, 'connect')
      socket.write(HALVES[i % HALVES.length] ?? '')
      return socket
    })
    const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    const drip = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('x')
    }, 1000)
    const flow = createFlow(house, { client })
    const query = await flow.complete('alex')
    expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)
    await Promise.all(closed)
    clearInterval(drip)
  })
})
