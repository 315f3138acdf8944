import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { COST } from '../../src/accounts/passwords.ts'
import { type Answer, burst, createFlow, type Flow } from '../support/flow.ts'
import { otherThan } from '../support/guesses.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'

/** As many tries in a row as a name has, and what they are made with. */
const TRIES = 10
const WRONG = 'not the password at all'

let house: House

beforeAll(async () => {
  // Judging takes its time, so that something can happen meanwhile.
  house = await startHouse({ passwordCost: COST })
  await house.addClient('app')
})
afterAll(() => house.stop())

beforeEach(() => house.gateway.reset())

async function tryPassword(
  name: string,
  password: string,
): Promise<{ flow: Flow; answer: Answer }> {
  const flow = createFlow(house)
  await flow.begin()
  return { flow, answer: await flow.password(name, password) }
}

/** Everything an answer shows to whoever gets it, without what is random or was typed. */
function face({ flow, answer }: { flow: Flow; answer: Answer }, name: string) {
  const uid = flow.path.split('/').at(-1) ?? ''
  const dull = (text: string) =>
    text.replaceAll(uid, 'UID').replaceAll(flow.formToken, 'TOKEN').replaceAll(name, 'NAME')
  const headers = [...answer.headers]
    .filter(([header]) => !['date', 'x-request-id'].includes(header))
    .map(([header, value]) => [header, dull(value)])
  return { status: answer.status, location: answer.location, headers, body: dull(answer.html) }
}

async function lockByCodes(name: string): Promise<void> {
  for (let challenge = 0; challenge < 2; challenge++) {
    const flow = createFlow(house)
    await flow.toCode(name)
    for (let i = 0; i < 5; i++) await flow.code(otherThan(house.lastCode()))
  }
}

async function lockByPasswords(name: string): Promise<void> {
  for (let i = 0; i < TRIES; i++) await tryPassword(name, WRONG)
}

async function disable(name: string): Promise<void> {
  const { id } = await house.addAccount(name)
  await house.db
    .updateTable('account')
    .set({ disabled_at: new Date() })
    .where('id', '=', id)
    .execute()
}

/** Does something while a right password waits to be judged. */
async function whileJudged(name: string, work: () => Promise<unknown>) {
  await house.db.deleteFrom('sign_in_attempt').execute()
  const others = burst(8, (i) => tryPassword(`crowd${i}`, WRONG))
  const tried = tryPassword(name, PASSWORD)
  const counted = house.db.selectFrom('sign_in_attempt').select('key')
  await vi.waitUntil(async () => (await counted.execute()).length >= 9, { interval: 1 })
  await work()
  await others
  return tried
}
const lock = (id: string) =>
  house.db
    .insertInto('second_factor')
    .values({ account_id: id, locked_until: new Date(Date.now() + 60_000) })
    .onConflict((conflict) =>
      conflict.column('account_id').doUpdateSet({ locked_until: new Date(Date.now() + 60_000) }),
    )
    .execute()

describe('before the right password, an answer doesn’t tell', () => {
  test('whether there is an account, a phone, a lock or a ban (ENU-01, ENU-03)', async () => {
    await house.addAccount('known1')
    await house.addAccount('bare01', null)
    await disable('banned')
    for (const name of ['codes1', 'words1']) await house.addAccount(name)
    await lockByCodes('codes1')
    await lockByPasswords('words1')
    await lockByPasswords('nobod2')
    house.gateway.reset()

    const unknown = face(await tryPassword('nobod1', WRONG), 'nobod1')
    expect(unknown.status).toBe(401)
    expect(unknown.body).toContain('NAME')
    const cases: [string, string][] = [
      ...['known1', 'bare01', 'banned', 'codes1', 'words1', 'nobod2'].map(
        (name): [string, string] => [name, WRONG],
      ),
      // The right password of those that may not come in.
      ['banned', PASSWORD],
      ['codes1', PASSWORD],
      ['words1', PASSWORD],
    ]
    for (const [name, password] of cases)
      expect(face(await tryPassword(name, password), name), name).toEqual(unknown)
    expect(house.codeTexts()).toEqual([])
  })

  test.each([
    ['codes2', PHONES[0]],
    ['codes3', null],
  ])(
    'that codes of %s were locked while the password was being judged (ENU-01)',
    async (name, phone) => {
      const { id } = await house.addAccount(name, phone)
      const unknown = face(await tryPassword('nobod5', WRONG), 'nobod5')
      expect(face(await whileJudged(name, () => lock(id)), name)).toEqual(unknown)
    },
  )

  test('the second time either, when the browser has its cookies (ENU-01)', async () => {
    await house.addAccount('known2')
    const faces = []
    for (const name of ['known2', 'nobod3']) {
      const { flow } = await tryPassword(name, WRONG)
      faces.push(face({ flow, answer: await flow.password(name, WRONG) }, name))
      faces.push(face({ flow, answer: await flow.page() }, name))
    }
    expect(faces[2]).toEqual(faces[0])
    expect(faces[3]).toEqual(faces[1])
  })
})

test('a factor that is added while the password is judged is asked for (CHL-15)', async () => {
  const { id } = await house.addAccount('late01', null)
  const { flow, answer } = await whileJudged('late01', () => house.rooms.backupCodes.issue(id))
  expect(answer.status).toBe(303)
  expect((await flow.page()).html).toContain('backup code')
  const passed = await flow.request(answer.location ?? '')
  expect(passed.location ?? '').not.toContain('code=')
})

describe('the number of tries', () => {
  test.each([
    [TRIES - 1, 303],
    [TRIES, 401],
  ])(
    'is the same for a name that was nobody’s meanwhile: after %d, %d (ENU-12, input 36)',
    async (tries, status) => {
      const [known, late] = [`known-${tries}`, `late-${tries}`]
      await house.addAccount(known)
      const answers = { [known]: [0], [late]: [0] }
      for (const name of [known, late]) {
        for (let i = 0; i < tries; i++)
          answers[name]?.push((await tryPassword(name, WRONG)).answer.status)
      }
      expect(answers[known]).toEqual(answers[late])
      await house.addAccount(late)
      for (const name of [known, late])
        expect((await tryPassword(name, PASSWORD)).answer.status, name).toBe(status)
    },
  )

  test('beyond the limit changes nothing in the answers, however many (input 36)', async () => {
    await house.addAccount('known3')
    const first = face(await tryPassword('nobod4', WRONG), 'nobod4')
    for (const name of ['nobod4', 'known3']) {
      const tried = await burst(50, () => tryPassword(name, WRONG))
      for (const attempt of tried) expect(face(attempt, name)).toEqual(first)
    }
    expect(house.codeTexts()).toEqual([])
  })
})

test('answers cost the same work, whoever they are about (ENU-02)', { retry: 2 }, async () => {
  const names = ['timed1', 'timed2', 'timed3', 'timed4', 'timed5']
  const [nobody = '', known = '', banned = '', locked = '', guessed = ''] = names
  if (!(await house.rooms.accounts.findByUsername(known))) {
    await house.addAccount(known)
    await disable(banned)
    await house.addAccount(locked)
    await house.addAccount(guessed)
    await lockByCodes(guessed)
  }
  await lockByPasswords(locked)
  const flow = createFlow(house)
  await flow.begin()

  const statements = new Map(names.map((name): [string, string[]] => [name, []]))
  const cpu = new Map(names.map((name): [string, number[]] => [name, []]))
  for (let round = 0; round < 9; round++) {
    // The others stay below their limit; the lock stays.
    await house.db.deleteFrom('sign_in_attempt').where('locked_until', 'is', null).execute()
    for (const [index] of names.entries()) {
      const name = names[(index + round) % names.length] ?? nobody
      house.statements.length = 0
      const before = process.cpuUsage()
      const { status } = await flow.password(
        name,
        [locked, guessed].includes(name) ? PASSWORD : WRONG,
      )
      const { user, system } = process.cpuUsage(before)
      cpu.get(name)?.push(user + system)
      statements.set(
        name,
        house.statements.filter((sent) => !/\bnotice\b/.test(sent)),
      )
      expect(status).toBe(401)
    }
  }
  // A locked name isn't judged, so nothing is noted of how it was: one statement less, which takes no password's time.
  const [first] = statements.get(known) ?? []
  expect(first).toBeDefined()
  for (const name of [nobody, banned, guessed])
    expect(statements.get(name), name).toEqual(statements.get(known))
  // The hash is nearly all of it; a clock on the wall would also measure what else this machine does.
  const medians = [...cpu.values()].map(median)
  const apart = Math.max(...medians) / Math.min(...medians)
  expect(apart, `medians in microseconds of CPU: ${medians.join(', ')}`).toBeLessThan(1.8)
})

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

describe('after the password', () => {
  test('a number is shown by its last two digits, however long it is (ENU-04)', async () => {
    const shown = []
    for (const [name, phone] of [
      ['mask10', '+4741234567'],
      ['mask13', '+4915112345678'],
    ] as const) {
      await house.addAccount(name, phone)
      const flow = createFlow(house)
      await flow.toCode(name)
      const { html } = await flow.page()
      for (let length = 3; length < phone.length; length++)
        expect(html).not.toContain(phone.slice(-length))
      shown.push(/[•*·x\s]{2,}\d{2}(?!\d)/.exec(html)?.[0])
    }
    expect(shown[0]).toMatch(/67$/)
    expect(shown[1]).toMatch(/78$/)
    expect(shown[0]?.length).toBe(shown[1]?.length)
  })

  test('another’s sign-in is no other than one there never was (ENU-07)', async () => {
    await house.addAccount('known4')
    const [own, theirs] = [createFlow(house), createFlow(house)]
    await theirs.toCode('known4')
    const theirCode = house.lastCode(PHONES[0])
    await own.toCode('known4')
    const never = Object.assign(createFlow(house), {
      path: `${theirs.path.slice(0, -4)}xxxx`,
      formToken: own.formToken,
    })
    expect(theirs.path.length).toBeGreaterThan('/interaction/'.length + 22)

    for (const act of [
      (at: Flow) => at.page(),
      (at: Flow) => at.code(theirCode),
      (at: Flow) => at.step('resend'),
      (at: Flow) => at.password('known4'),
      (at: Flow) => at.back(),
    ]) {
      const faces = []
      for (const { path } of [theirs, never]) {
        const flow = Object.assign(createFlow(house, { jar: own.jar }), {
          path,
          formToken: own.formToken,
        })
        faces.push(face({ flow, answer: await act(flow) }, 'known4'))
      }
      expect(faces[0]).toEqual(faces[1])
      expect(faces[0]?.status).toBe(400)
    }
  })
})
