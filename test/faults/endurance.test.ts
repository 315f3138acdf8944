import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { burst, createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

const AT_ONCE = 10
const ROUNDS = 14
/** Connections that wait for the next request, of apps, database and gateway: as many as there ever were at once. */
const KEPT = AT_ONCE + 2
/** How often a house looks for what has expired. */
const SWEEP_MS = 60_000
const YEAR = 365 * 86_400

/** Where work in progress is. */
const TABLES = [
  'oidc_record',
  'oidc_replay',
  'challenge',
  'message',
  'gateway_report',
  'notice',
  'logout_delivery',
  'alert_delivery',
  'sign_in_attempt',
  'send_limit',
] as const

let house: House
let app: { id: string; secret: string }
/** What the house does each minute. */
let sweep: () => void

beforeAll(async () => {
  const timers = vi.spyOn(globalThis, 'setInterval')
  house = await startHouse()
  const each = timers.mock.calls.find(([, ms]) => ms === SWEEP_MS)?.[0]
  timers.mockRestore()
  if (!each) throw new Error('the house sweeps at other times')
  sweep = () => each()
  app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  for (let i = 0; i < AT_ONCE; i++) await house.addAccount(`person${i}`, phoneOf(i))
})
afterAll(() => house.stop())

const phoneOf = (i: number) => `+4670123${5000 + i}`
const newFlow = () => createFlow(house, { client: app })

async function signIn(i: number): Promise<void> {
  const flow = newFlow()
  const code = (await flow.complete(`person${i}`, phoneOf(i))).get('code') ?? ''
  expect((await flow.redeem(code)).status).toBe(200)
}

/** Ways not to get in, and the answer to each. */
const FAILURES: ReadonlyArray<[status: number, (i: number) => Promise<{ status: number }>]> = [
  [
    401,
    async (i) => {
      const flow = newFlow()
      await flow.begin()
      return flow.password(`person${i}`, 'not the password')
    },
  ],
  [
    400,
    async (i) => {
      const flow = newFlow()
      await flow.toCode(`person${i}`)
      return flow.code(String((Number(house.lastCode(phoneOf(i))) + 1) % 1e6).padStart(6, '0'))
    },
  ],
  // Whoever goes away amid a sign-in.
  [
    200,
    async (i) => {
      const flow = newFlow()
      await flow.toCode(`person${i}`)
      return flow.page()
    },
  ],
  [400, () => newFlow().redeem('no such code')],
]

/** As many at once as there are people: of three two get in. */
async function visit(round: number): Promise<void> {
  await burst(AT_ONCE, async (i) => {
    if ((i + round) % 3 > 0) return signIn(i)
    const [expected, fail] = FAILURES[(i + round) % FAILURES.length] ?? []
    expect((await fail?.(i))?.status).toBe(expected)
  })
}

/** What keeps this process alive, by house or visitors: how many of each kind. */
function held(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

async function rows(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of TABLES) {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from ${sql.table(table)}`.execute(house.db)
    counts[table] = rows[0]?.n ?? 0
  }
  return counts
}

test('sign-ins without end leave nothing behind: no socket, no timer, no work that is begun (AVL-19)', async () => {
  const clean = await rows()
  await visit(0)
  await visit(1)
  const before = held()
  for (let round = 2; round < ROUNDS; round++) await visit(round)
  // One thing that each left would be more than a hundred.
  const grown = () =>
    Object.fromEntries([...held()].filter(([kind, n]) => n > (before.get(kind) ?? 0) + KEPT))
  await expect.poll(grown, { timeout: 10_000 }).toEqual({})

  expect((await rows()).oidc_record).toBeGreaterThan(ROUNDS)
  house.moveClock(YEAR)
  sweep()
  await expect.poll(rows, { timeout: 10_000 }).toEqual(clean)
})
