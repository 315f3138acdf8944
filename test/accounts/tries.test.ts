import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Attempt } from '../../src/accounts/authentication.ts'
import { inCircumstances } from '../../src/audit/circumstances.ts'
import { burst } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'

const WRONG = 'not the password at all'

let house: House

beforeAll(async () => {
  house = await startHouse()
})
beforeEach(() => house.db.deleteFrom('sign_in_attempt').execute())
afterAll(() => house.stop())

/** Tries names at once at an instance of the rooms, each in a request of its own. */
const tryAll = (tries: ReadonlyArray<readonly [name: string, password: string]>) =>
  burst(tries.length, (i) => {
    const [name = '', password = ''] = tries[i] ?? []
    const about = { actor: 'self', requestId: `of ${name}`, address: null }
    return inCircumstances(about, async () => {
      const attempt = await house.rooms.accounts.authenticate(name, password)
      const concluded = await attempt.conclude(attempt.account !== undefined)
      return { attempt, concluded }
    })
  })

const failures = async () => {
  const rows = await house.db
    .selectFrom('sign_in_attempt')
    .select(['failures', 'pending'])
    .orderBy('failures')
    .execute()
  return rows
}

const isRight = ({ account }: Attempt) => account !== undefined

test('names that are tried at once each get their own account, and are recorded by their own request', async () => {
  const plain = await house.addAccount('plain', null)
  const phoned = await house.addAccount('phoned', PHONES[0])
  const locked = await house.addAccount('locked', PHONES[1])
  await house.db
    .updateTable('second_factor')
    .set({ disabled_at: new Date() })
    .where('account_id', '=', locked.id)
    .execute()
  const banned = await house.addAccount('banned', null)
  await house.db
    .updateTable('account')
    .set({ disabled_at: new Date() })
    .where('id', '=', banned.id)
    .execute()
  const seen = await tryAll([
    ['plain', PASSWORD],
    ['nobody', PASSWORD],
    ['phoned', PASSWORD],
    ['banned', PASSWORD],
    ['plain2', WRONG],
    ['locked', PASSWORD],
  ])
  expect(seen.map(({ attempt }) => [attempt.account?.id, attempt.secondFactor])).toEqual([
    [plain.id, 'none'],
    [undefined, 'none'],
    [phoned.id, 'some'],
    [undefined, 'none'],
    [undefined, 'none'],
    [locked.id, 'locked'],
  ])
  expect(seen.map(({ concluded }) => concluded?.secondFactor)).toEqual([
    'none',
    undefined,
    'some',
    undefined,
    undefined,
    'locked',
  ])
  // Those that were wrong stay counted, judged; the others are forgotten.
  expect(await failures()).toEqual(Array(3).fill({ failures: 1, pending: 0 }))
  const events = await house.db
    .selectFrom('audit_event')
    .select(['type', 'account_id', 'request_id'])
    .where('type', 'in', ['password.right', 'password.wrong'])
    .orderBy('request_id')
    .execute()
  expect(events).toEqual([
    { type: 'password.wrong', account_id: banned.id, request_id: 'of banned' },
    { type: 'password.right', account_id: locked.id, request_id: 'of locked' },
    { type: 'password.wrong', account_id: null, request_id: 'of nobody' },
    { type: 'password.right', account_id: phoned.id, request_id: 'of phoned' },
    { type: 'password.right', account_id: plain.id, request_id: 'of plain' },
    { type: 'password.wrong', account_id: null, request_id: 'of plain2' },
  ])
})

test('every try of a name counts, however many come at once among others (THR-01)', async () => {
  await house.addAccount('target', null)
  const crowd = (round: number) =>
    ['target', `first${round}`, 'target', `second${round}`].map((name) => [name, WRONG] as const)
  const seen = await tryAll([0, 1, 2, 3, 4, 5, 6].flatMap(crowd))
  const [most] = (await failures()).toReversed()
  expect(most).toEqual({ failures: 10, pending: 0 })
  expect(seen.filter(({ attempt }) => attempt.judged)).toHaveLength(10 + 14)
  const [right] = await tryAll([['target', PASSWORD]])
  expect(right && isRight(right.attempt)).toBe(false)
})
