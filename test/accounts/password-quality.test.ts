import { describe, expect, test } from 'vitest'
import { createPasswordQuality, type PasswordFault } from '../../src/accounts/password-quality.ts'
import { PASSWORD } from '../support/house.ts'

const { judge } = createPasswordQuality({ brand: 'Blueharbour Bank' })
const ANNA = {
  username: 'annalarsen',
  email: 'a.sondergaard@example.com',
  name: 'Anna Ørsted Larsen',
}

test.each([
  PASSWORD,
  'k3mf-9wqa-x2ht-p7vr',
  'Tr0ub4dor&3',
  'anna likes purple tractors',
  '   x7  q1',
  'パスワードです。長い',
  'řeřicha na louce',
  '\0\u0001binary\u007f and so on',
  '🦊🚲🌻🪁🧊🎻🥨🛶',
  `${'lorem ipsum '.repeat(21)}four`,
])('%j may be chosen', async (password) => {
  expect(await judge(password, ANNA)).toMatchObject({ ok: true })
})

const refused: Array<[PasswordFault, string[]]> = [
  ['too-short', ['', 'k3mf-9w', '🦊🚲🌻🪁🧊🎻🥨', `e\u0301`.repeat(7)]],
  ['too-long', ['x7'.repeat(129), 'k'.repeat(100_000)]],
  ['common', ['password', 'P@ssw0rd', 'iloveyou', 'trustno1', 'qwertyuiop', 'PASSWORD1']],
  [
    'about-you',
    [
      'annalarsen',
      'AnnaLarsen1990',
      'larsen-anna!',
      'a.sondergaard',
      'Sondergaard99',
      'Blueharbour1',
      'ＡnnaＬarsen',
      'ørsted2024',
    ],
  ],
  ['guessable', ['abcdefgh', 'aaaaaaaaaaaa', 'x'.repeat(256), 'summer2024', 'zxcvbnm,']],
]

describe.each(refused)('as %s is refused', (fault, passwords) => {
  test.each(passwords.map((password) => [password.slice(0, 40), password]))('%j', async (_, it) => {
    const judgement = await judge(it, ANNA)
    expect(judgement).toMatchObject({ ok: false, fault, hint: expect.stringMatching(/password/) })
  })
})

test('words that say nothing of the owner’s name are for everyone else to use', async () => {
  expect(await judge('annalarsen', { username: 'someone' })).not.toMatchObject({
    fault: 'about-you',
  })
})

test('how hard it is to guess grows from 0 to 4', async () => {
  const strengths = []
  for (const password of ['password', 'summer2024', '   x7  q1', PASSWORD]) {
    const { strength } = await judge(password, ANNA)
    strengths.push(strength)
  }
  expect(strengths.at(0)).toBe(0)
  expect(strengths.at(-1)).toBe(4)
  expect(strengths).toEqual(strengths.toSorted())
})
