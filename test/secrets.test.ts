import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFlow } from './support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from './support/house.ts'

/** Every row of every table, as text: what somebody with a stolen dump would read. */
async function dump(house: House): Promise<string> {
  const tables = await house.db.introspection.getTables()
  const rows = await Promise.all(
    tables.map(
      async ({ name }) => (await sql`select * from ${sql.table(name)}`.execute(house.db)).rows,
    ),
  )
  return JSON.stringify(rows, (_key, value) => {
    const buffer =
      value?.type === 'Buffer' && Array.isArray(value.data) ? Buffer.from(value.data) : undefined
    return buffer
      ? [buffer.toString('hex'), buffer.toString('latin1'), buffer.toString('base64url')]
      : value
  })
}

describe('secrets', () => {
  let house: House
  let app: { id: string; secret: string }
  const seen: string[] = []
  const canaries = new Map<string, string>()

  beforeAll(async () => {
    house = await startHouse({ env: { LOG_LEVEL: 'trace' } })
    app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
    await house.addAccount('alex')
    const flow = createFlow(house, { client: app })
    const watch = async <
      T extends { html: string; headers: Headers; location: string | undefined },
    >(
      answer: Promise<T>,
    ): Promise<T> => {
      const got = await answer
      seen.push(got.html, got.location ?? '', [...got.headers].join('\n'))
      return got
    }
    await watch(flow.begin())
    await watch(flow.password('alex', 'a wrong password 77'))
    await watch(flow.password('alex'))
    await watch(flow.page())
    const code = house.lastCode()
    canaries.set('code', code)
    await watch(flow.code(String((Number(code) + 1) % 1_000_000).padStart(6, '0')))
    house.moveClock(31)
    await watch(flow.step('resend'))
    const passed = await watch(flow.code(code))
    const query = await flow.resume(passed)
    const { body } = await flow.redeem(query.get('code') ?? '')
    canaries.set('password', PASSWORD)
    canaries.set('wrong password', 'a wrong password 77')
    canaries.set('phone', PHONES[0])
    canaries.set('phone without plus', PHONES[0].slice(1))
    canaries.set('client secret', app.secret)
    canaries.set('authorization code', query.get('code') ?? '')
    canaries.set('access token', String(body.access_token))
    canaries.set('refresh token', String(body.refresh_token))
    canaries.set('gateway key', house.gateway.apiKey)
    canaries.set('encryption key', String(house.variables.ENCRYPTION_KEYS))
    canaries.set('cookie key', String(house.variables.COOKIE_KEYS))
    for (const { key, value } of (await flow.jar.serialize()).cookies)
      canaries.set(`cookie ${key}`, String(value))
    // Errors talk too: a database that fails, and a gateway that does.
    house.gateway.mode = '5xx'
    const failing = createFlow(house, { client: app })
    await failing.begin()
    await failing.password('alex')
    house.gateway.mode = 'bad-json'
    house.moveClock(31)
    await failing.step('resend')
  })
  afterAll(() => house.stop())

  test('none is in any log line (LOG-02, LOG-03)', () => {
    const log = house.logged.join('')
    expect(log).toContain('request')
    for (const [name, value] of canaries) expect(log.includes(value), name).toBe(false)
  })

  test('the code leaves the server only in the text (OTP-14, input 68)', () => {
    expect(seen.length).toBeGreaterThan(10)
    expect(seen.join('\n').includes(canaries.get('code') ?? 'none')).toBe(false)
  })

  test('a stolen dump holds none of them, and no number (OTP-15, CRY-01, CRY-09)', async () => {
    const stolen = await dump(house)
    expect(stolen).toContain('alex')
    for (const [name, value] of canaries) {
      expect(stolen.includes(value), name).toBe(false)
      expect(stolen.includes(Buffer.from(value).toString('hex')), `${name} in hex`).toBe(false)
    }
  })

  test('sealed values moved between rows no longer open, and the sign-in fails closed (CRY-02)', async () => {
    await house.addAccount('blake', PHONES[1])
    const flow = createFlow(house, { client: app })
    house.gateway.mode = 'ok'
    await flow.toCode('blake')
    const rows = await house.db.selectFrom('phone').select(['id', 'hotp_secret']).execute()
    const [a, b] = rows
    if (!a || !b) throw new Error('two phones are needed')
    await house.db
      .updateTable('phone')
      .set({ hotp_secret: b.hotp_secret })
      .where('id', '=', a.id)
      .execute()
    await house.db
      .updateTable('phone')
      .set({ hotp_secret: a.hotp_secret })
      .where('id', '=', b.id)
      .execute()
    const answer = await flow.code(house.lastCode(PHONES[1]))
    expect(answer.status).toBe(500)
    expect(answer.html).not.toContain('phone.hotp_secret')
    expect(house.logged.join('')).toContain('changed or moved since it was sealed')
  })

  test('a name with line breaks and escapes stays one log line (LOG-04)', async () => {
    const flow = createFlow(house, { client: app })
    await flow.begin()
    await flow.password('a\n{"level":"audit"}\u001b[31m\u2028', 'x')
    for (const line of house.logged) expect(line.trimEnd().split('\n')).toHaveLength(1)
  })
})
