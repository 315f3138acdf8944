import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { freePort } from '../support/ports.ts'

let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app')
  await house.addAccount('alex')
})
afterAll(() => house.stop())

interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

async function scrape(): Promise<Sample[]> {
  const text = await (await fetch(`${house.url}/metrics`)).text()
  return [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(
    ([, name = '', all = '', value]) => ({
      name,
      labels: Object.fromEntries(
        [...all.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, of = '']) => [label, of]),
      ),
      value: Number(value),
    }),
  )
}

function sumOf(samples: readonly Sample[], name: string, labels: Record<string, string> = {}) {
  const fit = samples.filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, of]) => sample.labels[label] === of),
  )
  return fit.reduce((sum, { value }) => sum + value, 0)
}

test('requests, sign-ins, failures, tokens and the database are counted, by labels that are bounded and documented (LOG-08)', async () => {
  const flow = createFlow(house, { client: app })
  await flow.begin()
  await flow.password('alex', 'not the password')
  await flow.password('nobody-of-that-name', 'not the password')
  await flow.password('alex')
  const right = house.lastCode()
  await flow.code(right.replace(/./, (digit) => String((Number(digit) + 1) % 10)))
  const query = await flow.resume(await flow.code(right))
  const code = query.get('code') ?? ''
  expect((await flow.redeem(code)).status).toBe(200)
  expect((await flow.redeem(code)).status).toBe(400)
  const left = createFlow(house, { client: app })
  await left.begin()
  await left.step('cancel')
  for (let i = 0; i < 20; i++) {
    await flow.request(`/interaction/${i}x${i}`)
    await flow.request(`/nowhere/${i}`)
    await flow.request('/token', {
      method: 'POST',
      body: new URLSearchParams({ grant_type: `made-up-${i}` }),
    })
  }

  const samples = await scrape()
  const value = (name: string, labels?: Record<string, string>) => sumOf(samples, name, labels)
  expect(value('sallyport_sign_ins_total', { level: 'two-factors' })).toBe(1)
  const failed = (cause: string) => value('sallyport_sign_in_failures_total', { cause })
  expect(failed('wrong-password')).toBe(2)
  expect(failed('wrong-code')).toBe(1)
  expect(failed('cancelled')).toBe(1)
  expect(value('sallyport_token_grants_total', { grant: 'authorization_code' })).toBe(1)
  const refused = { grant: 'authorization_code', error: 'invalid_grant' }
  expect(value('sallyport_token_refusals_total', refused)).toBe(1)
  const login = { route: '/interaction/:uid/login', method: 'POST' }
  expect(value('sallyport_http_requests_total', { ...login, status: '4xx' })).toBe(2)
  expect(value('sallyport_http_requests_total', { ...login, status: '3xx' })).toBe(1)
  expect(value('sallyport_http_request_seconds_count', { route: '/token' })).toBe(22)
  expect(value('sallyport_http_requests_total', { route: 'none', status: '4xx' })).toBe(20)
  expect(value('sallyport_database_statement_seconds_count')).toBeGreaterThan(20)
  expect(value('sallyport_database_connections_max')).toBe(10)
  expect(value('sallyport_database_connections')).toBeGreaterThan(0)
  expect(value('sallyport_database_waiting')).toBe(0)
  expect(value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThanOrEqual(0)
  const [build] = samples.filter(({ name }) => name === 'sallyport_build_info')
  expect(build).toMatchObject({ value: 1, labels: { version: expect.stringMatching(/^\d/) } })

  // However many different things are asked for, nothing of them becomes a label.
  const routes = new Set(samples.flatMap(({ labels }) => labels.route ?? []))
  for (const route of routes) expect(route).not.toMatch(/nowhere|\dx\d/)
  expect(JSON.stringify(samples)).not.toContain('made-up')
  const page = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')
  for (const { name, labels } of samples.filter((one) => one.name.startsWith('sallyport_'))) {
    const base = name.replace(/_(bucket|sum|count)$/, '')
    const row = page.split('\n').find((line) => line.startsWith(`| \`${base}\``)) ?? ''
    for (const label of Object.keys(labels))
      if (label !== 'le') expect(row, name).toContain(`\`${label}\``)
  }
})

test('with a port of its own, metrics are on that alone, for as long as it serves (LOG-08)', async () => {
  const port = await freePort()
  const apart = await startHouse({ beside: house, env: { METRICS_PORT: String(port) } })
  const own = `http://localhost:${port}`
  // From here or through a proxy: who reaches it is for a firewall to say.
  for (const headers of [{}, { 'x-forwarded-for': '203.0.113.9' }]) {
    const metrics = await fetch(`${own}/metrics`, { headers })
    expect(metrics.status).toBe(200)
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain/)
    expect(await metrics.text()).toContain('sallyport_')
    expect((await fetch(`${apart.url}/metrics`, { headers })).status).toBe(404)
  }
  const others = ['/', '/metrics/', '/healthz', '/jwks', '/.well-known/openid-configuration']
  for (const path of others) expect((await fetch(own + path)).status, path).toBe(404)
  expect((await fetch(`${own}/metrics`, { method: 'POST' })).status).toBe(404)
  await apart.stop()
  await expect(fetch(`${own}/metrics`)).rejects.toThrow()
})

test('what is due in the background is counted', async () => {
  await house.db
    .insertInto('notice')
    .values({
      id: 'late',
      account_id: (await house.addAccount('blake', null)).id,
      kind: 'password.changed',
      medium: 'mail',
      recipient: Buffer.from(''),
      language: null,
      detail: null,
      created_at: new Date(Date.now() - 60_000),
      next_try_at: new Date(Date.now() - 60_000),
    })
    .execute()
  // More than are taken at a time by whoever tells apps.
  await sql`
    insert into logout_delivery (client_id, account_id, created_at, next_try_at)
    select 'gone', 'gone', now(), now() - interval '1 minute' from generate_series(1, 100)`.execute(
    house.db,
  )
  const queues = await house.rooms.statistics.backlog()
  for (const [queue, least] of Object.entries({ notices: 1, logouts: 50 })) {
    const found = queues.find((one) => one.queue === queue)
    expect(found?.due, queue).toBeGreaterThanOrEqual(least)
    expect(found?.overdueSeconds, queue).toBeGreaterThan(50)
  }
})
