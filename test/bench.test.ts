import { expect, test } from 'vitest'
import { dashboard } from '../bench/dashboard/dashboard.ts'
import { reportDashboard } from '../bench/dashboard/report.ts'
import { benchImport, importReport } from '../bench/import/import.ts'
import { runAttack } from '../bench/pumping/pumping.ts'
import { report } from '../bench/pumping/report.ts'
import { type Attack, createTraffic } from '../bench/pumping/traffic.ts'
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
