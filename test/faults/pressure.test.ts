import { sql } from 'kysely'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { type Answer, burst, createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { startWeakHouse, type WeakHouse } from '../support/weak-house.ts'

let weak: WeakHouse

beforeAll(async () => {
  weak = await startWeakHouse()
})
afterAll(() => weak.stop())

async function ends(work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: weak.house.database.url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

const TERMINATE = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name = 'sallyport'`

test('terminated connections, five times under load, end no process and are replaced at once (AVL-05)', async () => {
  const { house } = weak
  const statuses = new Set<number>()
  let stop = false
  const visit = async () => {
    while (!stop) {
      const flow = weak.newFlow()
      const start = await flow.request(flow.authorizationUrl())
      statuses.add(start.status)
      // Or the app is told to try again.
      if (!start.location?.includes('/interaction/')) continue
      const page = await flow.arrive(start.location)
      statuses.add(page.status)
      if (page.status === 200) statuses.add((await flow.step('login')).status)
      statuses.add((await flow.redeem('no such code')).status)
    }
  }
  const load = burst(4, visit)
  await ends(async (admin) => {
    for (let round = 0; round < 5; round++) {
      await new Promise((resolve) => setTimeout(resolve, 150))
      expect((await admin.query(TERMINATE)).rowCount).toBeGreaterThan(0)
      const began = performance.now()
      while ((await fetch(`${house.url}/readyz`)).status !== 200);
      expect(performance.now() - began).toBeLessThan(2000)
    }
  })
  stop = true
  await load
  // 400: the form without a name, and the code that isn't one.
  expect([...statuses].filter((status) => ![200, 303, 400, 503].includes(status))).toEqual([])
  expect((await weak.newFlow().complete('alex')).get('code')).toBeTruthy()
})

describe('a lock on the challenge held by somebody else (AVL-07)', () => {
  test('makes the check answer 503 in about three seconds, and no code is judged uncounted', async () => {
    const { house } = weak
    const flow = weak.newFlow()
    await flow.toCode('alex')
    const right = house.lastCode()
    const wrong = right === '000000' ? '000001' : '000000'
    await ends(async (other) => {
      await other.query('begin')
      await other.query('select from challenge order by created_at desc limit 1 for update')
      const began = performance.now()
      const answers = await burst(4, (i) => flow.code(i % 2 ? right : wrong))
      expect(performance.now() - began).toBeLessThan(4000)
      for (const { status, headers, html } of answers) {
        expect(status).toBe(503)
        expect(headers.get('retry-after')).toBeTruthy()
        // Right and wrong can't be told apart.
        expect(html.replaceAll(/[0-9a-f-]{36}/g, '')).toBe(
          answers[0]?.html.replaceAll(/[0-9a-f-]{36}/g, ''),
        )
      }
      expect((await fetch(`${house.url}/readyz`)).status).toBe(200)
      await other.query('rollback')
    })
    const { attempts } = await house.db
      .selectFrom('challenge')
      .select('attempts')
      .orderBy('created_at', 'desc')
      .executeTakeFirstOrThrow()
    expect(attempts).toBe(0)
    expect((await flow.code(wrong)).html).toContain('4 tries')
    expect((await flow.resume(await flow.code(right))).get('code')).toBeTruthy()
  })
})

test('a read-only database lets nobody in and still serves what needs no writing (AVL-08)', async () => {
  const { house } = weak
  const name = new URL(house.database.url).pathname.slice(1)
  const flow = weak.newFlow()
  await flow.begin()
  await sql`alter database ${sql.id(name)} set default_transaction_read_only = on`.execute(house.db)
  weak.proxy.cut()
  const newcomer = weak.newFlow()
  const refused = [
    await flow.password('alex'),
    await newcomer.request(newcomer.authorizationUrl()),
    await flow.step('cancel'),
  ]
  for (const { status, headers, location } of refused) {
    expect(status).toBe(503)
    expect(location).toBeUndefined()
    expect(headers.get('retry-after')).toBeTruthy()
  }
  for (const path of ['/.well-known/openid-configuration', '/jwks', '/healthz', flow.path])
    expect((await flow.request(path)).status).toBe(200)
  await sql`alter database ${sql.id(name)} reset default_transaction_read_only`.execute(house.db)
  weak.proxy.cut()
  while ((await flow.password('alex')).status === 503);
  expect((await flow.resume(await flow.code(house.lastCode()))).get('code')).toBeTruthy()
})

describe('with two connections (AVL-06, input 113)', () => {
  const COUNT = 100
  const name = (i: number) => `person${i}`
  const phone = (i: number) => `+4670123${String(4000 + i)}`
  let small: House
  let app: { id: string; secret: string }

  beforeAll(async () => {
    small = await startHouse({ env: { DATABASE_POOL_SIZE: '2' } })
    app = await small.addClient('app')
    const { id } = await small.addAccount('template', PHONES[0])
    // Hashing a hundred passwords would take longer than the test.
    await sql`
      insert into account (id, username, username_key, password_hash)
      select 'id' || i, 'person' || i, 'person' || i, password_hash
      from account, generate_series(0, ${COUNT - 1}::int) i where id = ${id}`.execute(small.db)
    await burst(COUNT, async (i) => {
      const parsed = parsePhoneNumber(phone(i), '*')
      if ('fault' in parsed) throw new Error(parsed.fault)
      await small.rooms.phones.add(`id${i}`, parsed, true)
    })
  })
  afterAll(() => small.stop())

  test('a hundred sign-ins at once all end well, with nothing worse than a 503 on the way', async () => {
    const statuses = new Set<number>()
    const insist = async (step: () => Promise<Answer>): Promise<Answer> => {
      for (let tries = 0; ; tries++) {
        const answer = await step()
        statuses.add(answer.status)
        if (answer.status !== 503 || tries === 20) return answer
        expect(answer.headers.get('retry-after')).toBeTruthy()
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    }
    const codes = await burst(COUNT, async (i) => {
      const flow = createFlow(small, { client: app })
      const start = await insist(() => flow.request(flow.authorizationUrl()))
      await insist(() => flow.arrive(start.location ?? ''))
      await insist(() => flow.password(name(i)))
      await insist(() => flow.page())
      const passed = await insist(() => flow.code(small.lastCode(phone(i))))
      const back = await insist(() => flow.request(passed.location ?? ''))
      return { flow, code: new URL(back.location ?? '').searchParams.get('code') ?? '' }
    })
    expect([...statuses].filter((status) => ![200, 303, 503].includes(status))).toEqual([])
    const tokens = await burst(COUNT, (i) => {
      const { flow, code } = codes[i] ?? {}
      if (!flow || !code) throw new Error(`person ${i} got no code`)
      return flow.redeem(code)
    })
    expect(new Set(tokens.map(({ status }) => status))).toEqual(new Set([200]))
  })

  test('and afterwards both connections are free', async () => {
    const began = performance.now()
    await burst(2, () => fetch(`${small.url}/readyz`))
    expect(performance.now() - began).toBeLessThan(500)
    const { rows } = await sql`select 1 from pg_stat_activity where datname = current_database()
      and application_name = 'sallyport' and state <> 'idle'`.execute(small.db)
    expect(rows).toEqual([])
  })
})
