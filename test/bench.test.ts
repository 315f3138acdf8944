import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { dashboard } from '../bench/dashboard/dashboard.ts'
import { reportDashboard } from '../bench/dashboard/report.ts'
import { benchImport, importReport } from '../bench/import/import.ts'
import { findBouncer } from '../bench/pgbouncer/bouncer.ts'
import { benchPgbouncer } from '../bench/pgbouncer/pgbouncer.ts'
import { pgbouncerReport } from '../bench/pgbouncer/report.ts'
import { runAttack } from '../bench/pumping/pumping.ts'
import { report } from '../bench/pumping/report.ts'
import { type Attack, createTraffic } from '../bench/pumping/traffic.ts'
import { measureRates } from '../bench/sign-in/phases.ts'
import { signInReport } from '../bench/sign-in/report.ts'
import { type Figures, openStage } from '../bench/sign-in/sign-in.ts'
import type { Measured } from '../bench/sign-in/turns.ts'
import { startChild } from './support/children.ts'
import { createTestDatabase } from './support/database.ts'

const SHORT: Attack = {
  name: 'short',
  what: 'one block for an hour',
  waves: [{ country: 'AZ', blocks: 1, hourly: 120, from: 1, to: 2 }],
}

test('the pumping bench has figures of every defence, and in a short attack ours stops what a block may have and refuses nobody', async () => {
  const traffic = createTraffic(SHORT, 3, 0.25)
  expect(createTraffic(SHORT, 3, 0.25)).toEqual(traffic)
  const result = await runAttack(SHORT, traffic, createTestDatabase)
  const { none, Sallyport: ours, ...others } = result.defences
  expect(Object.keys(others)).toEqual([
    'fixed limits',
    'country budgets, documented',
    'country budgets, built',
  ])
  const honest = traffic.filter(({ does }) => does !== 'attacker').length
  expect(honest).toBeGreaterThan(20)
  for (const figures of Object.values(result.defences))
    expect(figures).toEqual({
      pumped: expect.any(Number),
      lost: expect.closeTo(figures.pumped * 0.25),
      honest,
      refused: expect.any(Number),
      refusedKnown: expect.any(Number),
    })
  // Each of the 30 sign-ins asks four times, and nothing refuses anyone.
  expect(none).toMatchObject({ pumped: 120, refused: 0 })
  // One block, and what it may have unanswered.
  expect(ours?.pumped).toBe(4)
  expect(ours?.refused).toBe(0)
  // The documented budgets alone send less here, and refuse an honest person for it.
  const { 'country budgets, documented': documented, ...rest } = others
  expect(documented).toMatchObject({ pumped: 3, refused: 1 })
  for (const { pumped } of Object.values(rest)) expect(pumped).toBeGreaterThanOrEqual(4)
  expect(report([result])).toContain('| Sallyport ')
})

test('the dashboard bench fills, counts and looks, however few messages there are', async () => {
  const figures = await dashboard(createTestDatabase, { messages: 2000, days: 0.05 })
  expect(figures).toMatchObject({ messages: 2000, dayAnew: { statements: expect.any(Number) } })
  expect(figures.took.map(({ what }) => what)).toEqual(
    expect.arrayContaining([
      'roll-up of 30 seconds',
      'overview of the month',
      'messages, a page from the middle',
    ]),
  )
  for (const { median, longest } of figures.took) expect(longest).toBeGreaterThanOrEqual(median)
  expect(reportDashboard(figures)).toContain('| overview of the hour ')
})

test('the import bench imports every row, and has figures of it', async () => {
  const figures = await benchImport(createTestDatabase, 700)
  expect(figures).toMatchObject({ rows: 700, seconds: expect.any(Number) })
  expect(importReport(figures)).toMatch(/700 rows .*\n.* rows a second\n.* MB at most/)
})

test('the bench of PgBouncer, asked for where there is none, says so and fails', async () => {
  const bench = startChild('bench/main.ts', ['pgbouncer'], { PGBOUNCER: '/nowhere/pgbouncer' })
  expect(await bench.ended).toBe(1)
  expect(bench.err).toMatch(/^PgBouncer: there is none here\. .*PGBOUNCER/)
})

test.skipIf(!findBouncer())(
  'the bench of PgBouncer signs people in by it, and finds nothing that it loses',
  { timeout: 60_000 },
  async () => {
    const empty = () => createTestDatabase('template0')
    const figures = await benchPgbouncer({ empty }, { seconds: 0.1, rounds: 1, concurrency: 2 })
    const run = { signIns: expect.any(Number), errors: [] }
    expect(figures).toMatchObject({
      version: expect.stringMatching(/^\d/),
      runs: [
        { by: 'directly', ...run },
        { by: 'through PgBouncer', ...run },
      ],
      locksLeft: 0,
      missingLimits: [],
    })
    for (const { signIns } of figures.runs) expect(signIns).toBeGreaterThan(0)
    expect(figures.migrated).toBe((await readdir('migrations')).length)
    expect(pgbouncerReport(figures)).toContain('through PgBouncer')
  },
)

test('the sign-in bench compares both providers, and nobody fails to sign in at either', async () => {
  const { stage, count, close } = await openStage(() => createTestDatabase(), 20)
  try {
    expect(await count()).toMatchObject({ password: 11, texted: 18, bare: 19, bareUpserts: 7 })
    const measured = await measureRates(stage, { concurrency: 2, seconds: 0.05, rounds: 1 })
    const { ours, bare, es256, texted, refresh, open } = measured
    for (const one of [
      ours,
      bare,
      es256,
      texted,
      refresh.ours,
      refresh.bare,
      ...Object.values(open),
    ])
      expect(one).toMatchObject({ faults: [], done: expect.toSatisfy((done) => done > 0) })
  } finally {
    await close()
  }
})

/** Figures of the sign-in bench that reach all they are to reach. */
function reaching(): Figures {
  const at = (rate: number, more: Partial<Measured> = {}): Measured => ({
    rate,
    done: 100,
    errors: 0,
    faults: [],
    p50: 200,
    p95: 399,
    p99: 500,
    requestP95: 90,
    serverCpuMs: 2,
    postgresCpuMs: 1.5,
    driverCpuMs: 1,
    ...more,
  })
  const bareCpu = { serverCpuMs: 3, postgresCpuMs: 2 }
  const signIns = () => ({ ours: at(125), bare: at(100, bareCpu), es256: at(130), texted: at(90) })
  const reads = { discovery: at(4000), bareDiscovery: at(5000), jwks: at(4000), bareJwks: at(5000) }
  const grown = () => ({ small: at(100), large: at(90) })
  return {
    size: {
      concurrency: 32,
      seconds: 6,
      rounds: 4,
      people: 1000,
      accounts: 1_000_000,
      challenges: 10_000_000,
      soakMinutes: 30,
      starts: 5,
      idleSeconds: 10,
    },
    statements: { password: 12, texted: 18, bare: 19, bareUpserts: 7 },
    atRest: { firstAnswerMs: 999, idleMegabytes: 149 },
    withHash: {
      ...signIns(),
      hashAlone: { inTurn: 190, atOnce: 180 },
      refresh: { ours: at(600), bare: at(500) },
      open: reads,
      busyMegabytes: 300,
    },
    withoutHash: signIns(),
    growth: [
      { accounts: 1e6, challenges: 0, fillSeconds: 9, password: grown(), texted: grown() },
      { accounts: 1e6, challenges: 1e7, fillSeconds: 9, password: grown(), texted: grown() },
    ],
    soak: {
      minutes: 30,
      rate: 60,
      done: 9,
      errors: 0,
      p95: 300,
      megabytes: [150, 190, 200, 204, 210],
      descriptors: [60, 61, 70, 63, 90],
      lagMs: 49,
    },
  }
}

test('the report of the sign-in bench says of each aim whether it is reached', () => {
  const good = signInReport(reaching())
  expect(good).toMatch(/\| Sallyport, password +\| +125\.0 \| +1\.25 \|/)
  expect(good.match(/\breached\b/g)).toHaveLength(11)
  expect(good).not.toContain('NOT REACHED')
  const misses: Array<[(figures: Figures) => unknown, missed: string]> = [
    [({ withHash }) => (withHash.ours.rate = 124.9), '1.25 × the bare rate'],
    [({ withHash }) => (withHash.ours.errors = 1), 'no errors'],
    [({ withHash }) => (withHash.texted.errors = 1), 'no errors'],
    [({ withHash }) => (withHash.refresh.ours.errors = 1), 'no errors'],
    [({ withHash }) => (withHash.open.jwks.errors = 1), 'no errors'],
    [({ withoutHash }) => (withoutHash.ours.errors = 1), 'no errors'],
    [({ growth }) => Object.assign(growth[0]?.texted.large ?? {}, { errors: 1 }), 'no errors'],
    [({ soak }) => (soak.errors = 1), 'no errors'],
    [({ soak }) => soak.megabytes.fill(211, 4), 'no growth over the second half'],
    [({ soak }) => soak.descriptors.fill(64, 3), 'no growth over the second half'],
    [({ soak }) => (soak.lagMs = 50), '(under 50'],
    [({ withHash }) => (withHash.ours.p95 = 400), 'p95 under 400 ms'],
    [({ withoutHash }) => (withoutHash.ours.serverCpuMs = 2.1), 'so 0.7 of it'],
    [({ withHash }) => (withHash.refresh.ours.rate = 599), '600 refresh grants a second'],
    [({ withHash }) => (withHash.open.jwks.rate = 3999), '4,000 of discovery and JWKS'],
    [({ withHash }) => (withHash.open.discovery.rate = 3999), '4,000 of discovery and JWKS'],
    [({ growth }) => Object.assign(growth[1]?.texted.large ?? {}, { rate: 89 }), 'within 10 %'],
    [({ atRest }) => (atRest.firstAnswerMs = 1000), '(under 1000'],
    [({ atRest }) => (atRest.idleMegabytes = 150), '(under 150'],
  ]
  for (const [worsen, missed] of misses) {
    const figures = reaching()
    worsen(figures)
    const text = signInReport(figures)
    expect(text).toContain(`${missed}: NOT REACHED`)
    expect(text.match(/NOT REACHED/g), missed).toHaveLength(1)
  }
  const wrong = reaching()
  wrong.withHash.texted.faults.push('the code led to 503')
  expect(signInReport(wrong)).toContain('went wrong: the code led to 503')
})
