import { describe, expect, test } from 'vitest'
import { ACR, authenticationBy, PASSWORD_ALONE } from '../../src/oidc/acr.ts'
import {
  insistsOnSecondFactor,
  isOutOfReach,
  isSecondFactorDue,
  missingOnlySecondFactor,
  secondFactorAsked,
} from '../../src/oidc/assurance.ts'

const MFA = ACR.secondFactor
const SFA = ACR.password

const acr = (request: unknown) => JSON.stringify({ id_token: { acr: request } })

describe('what was done is told as it was (OIDC-15)', () => {
  test.each([
    ['sms', ['pwd', 'otp', 'sms', 'mfa']],
    ['voice', ['pwd', 'otp', 'tel', 'mfa']],
    ['totp', ['pwd', 'otp', 'mfa']],
    ['backup-code', ['pwd', 'otp', 'mfa']],
    ['bypass-code', ['pwd', 'otp', 'mfa', 'bypass']],
  ] as const)('%s', (factor, amr) => {
    expect(authenticationBy(factor)).toEqual({ acr: MFA, amr })
  })

  test('a password alone is no second factor', () => {
    expect(PASSWORD_ALONE).toEqual({ acr: SFA, amr: ['pwd'] })
  })
})

describe('what a request asks of the second factor', () => {
  const NOW = { required: true, wished: true, explicit: true }
  const WISHED = { required: false, wished: true, explicit: true }
  const HOUSE_RULE = { required: true, wished: false, explicit: false }
  const SHOWN_AGAIN = { required: false, wished: false, explicit: true }
  const NOTHING = { required: false, wished: false, explicit: false }

  test.each([
    ['nothing at all', {}, NOTHING],
    ['the second factor’s level', { acr_values: MFA }, WISHED],
    ['it first', { acr_values: `${MFA} ${SFA}` }, WISHED],
    ['it after one there is not', { acr_values: `urn:unknown ${MFA}` }, WISHED],
    ['the password’s level', { acr_values: SFA }, NOTHING],
    ['the password’s level first', { acr_values: `${SFA} ${MFA}` }, NOTHING],
    ['only unknown levels', { acr_values: 'urn:unknown' }, NOTHING],
    ['an essential claim', { claims: acr({ essential: true, value: MFA }) }, NOW],
    ['an essential claim of several', { claims: acr({ essential: true, values: [MFA] }) }, NOW],
    ['a voluntary claim', { claims: acr({ value: MFA }) }, WISHED],
    ['a voluntary claim of several', { claims: acr({ values: [MFA, SFA] }) }, WISHED],
    [
      'an essential claim, or less',
      { claims: acr({ essential: true, values: [MFA, SFA] }) },
      WISHED,
    ],
    ['a claim for less', { claims: acr({ essential: true, values: [SFA, MFA] }) }, NOTHING],
    ['a claim, with less beside', { claims: acr({ value: MFA }), acr_values: SFA }, WISHED],
    [
      'an essential claim, with less beside',
      { claims: acr({ essential: true, value: MFA }), acr_values: SFA },
      NOW,
    ],
    ['other claims', { claims: '{"userinfo":{"email":null}}' }, NOTHING],
    ['any acr', { claims: acr(null) }, NOTHING],
    ['max_age', { max_age: '3600' }, SHOWN_AGAIN],
    ['prompt=login', { prompt: 'login' }, SHOWN_AGAIN],
    ['prompt=consent login', { prompt: 'consent login' }, SHOWN_AGAIN],
    ['prompt=consent', { prompt: 'consent' }, NOTHING],
  ])('%s', (_name, params, asked) => {
    expect(secondFactorAsked(params, 'optional', 'required')).toEqual(asked)
    expect(secondFactorAsked(params, null, 'optional')).toEqual(asked)
    // The default of the house asks for it, but not for showing it now.
    expect(secondFactorAsked(params, null, 'required')).toEqual({ ...asked, required: true })
    expect(insistsOnSecondFactor(params)).toBe(asked.required)
  })

  test('the floor of a client is one that no request lowers', () => {
    for (const params of [
      {},
      { acr_values: SFA },
      { claims: acr({ essential: true, value: SFA }) },
    ])
      for (const byDefault of ['required', 'optional'] as const)
        expect(secondFactorAsked(params, 'required', byDefault)).toEqual({ ...NOW, wished: false })
    expect(secondFactorAsked({ acr_values: SFA }, null, 'required')).toEqual(HOUSE_RULE)
  })

  const BARE = { enrolled: false, trusted: false }
  const BARE_TRUSTED = { enrolled: false, trusted: true }
  const ENROLLED = { enrolled: true, trusted: false }
  const ENROLLED_TRUSTED = { enrolled: true, trusted: true }
  const ALL = [BARE, BARE_TRUSTED, ENROLLED, ENROLLED_TRUSTED]

  /** Of whom it is asked after a password alone, and what has to be known of them for that. */
  test.each([
    ['now', NOW, {}, ALL, []],
    ['now, just signed in', NOW, { fresh: true }, ALL, []],
    ['by the house', HOUSE_RULE, {}, [BARE, ENROLLED], ['trusted']],
    ['by the house, just signed in', HOUSE_RULE, { fresh: true }, [BARE, ENROLLED], ['trusted']],
    ['as a wish', WISHED, {}, ALL, []],
    [
      'as a wish, where only admins enrol',
      WISHED,
      { selfEnrolment: false },
      [ENROLLED, ENROLLED_TRUSTED],
      ['enrolled'],
    ],
    ['as a wish, just signed in', WISHED, { fresh: true }, [], []],
    // Whether the browser shows that it is remembered makes no difference (CHL-15).
    ['of those who have one', SHOWN_AGAIN, {}, [ENROLLED, ENROLLED_TRUSTED], ['enrolled']],
    ['of those who have one, just signed in', SHOWN_AGAIN, { fresh: true }, [], []],
    ['of those who have one, unless remembered', NOTHING, {}, [ENROLLED], ['enrolled', 'trusted']],
    ['of nobody who just signed in', NOTHING, { fresh: true }, [], []],
  ] as const)('asked for %s', async (_name, asked, how, due, questions) => {
    const asking = new Set<string>()
    for (const person of ALL) {
      const know = (what: keyof typeof person) => async () => {
        asking.add(what)
        return person[what]
      }
      const isDue = await isSecondFactorDue(asked, {
        fresh: false,
        selfEnrolment: true,
        isTrusted: know('trusted'),
        isEnrolled: know('enrolled'),
        ...how,
      })
      expect([person, isDue]).toEqual([person, due.some((one) => one === person)])
    }
    expect([...asking]).toEqual(questions)
  })
})

describe('an essential acr is out of reach', () => {
  test.each([
    [{ essential: true, value: 'urn:unknown' }, undefined, true],
    [{ essential: true, values: ['urn:unknown', MFA] }, undefined, false],
    [{ essential: true, value: MFA }, SFA, true],
    [{ essential: true, value: MFA }, MFA, false],
    [{ essential: true, value: SFA }, MFA, true],
    [{ value: 'urn:unknown' }, SFA, false],
    [{ essential: true }, SFA, false],
  ])('%j after %s: %s', (request, reached, out) => {
    // What is asked for in acr_values takes nothing from it.
    for (const beside of [{}, { acr_values: SFA }])
      expect(isOutOfReach({ claims: acr(request), ...beside }, reached)).toBe(out)
  })
})

describe('only the second factor is missing', () => {
  const session = { accountId: 'alex', acr: SFA }
  test.each([
    ['login', ['second_factor_due'], session, 'alex'],
    ['login', ['essential_acr', 'second_factor_due'], session, 'alex'],
    ['login', ['second_factor_due', 'login_prompt'], session, undefined],
    ['login', ['second_factor_due', 'max_age'], session, undefined],
    ['login', ['second_factor_due', 'account_gone'], session, undefined],
    ['login', ['second_factor_due', 'id_token_hint'], session, undefined],
    ['login', ['essential_acr'], session, undefined],
    ['login', [], session, undefined],
    ['login', ['no_session'], undefined, undefined],
    ['login', ['second_factor_due'], { accountId: 'alex', acr: MFA }, undefined],
    ['consent', ['second_factor_due'], session, undefined],
  ])('at %s for %j', (name, reasons, known, account) => {
    expect(missingOnlySecondFactor({ prompt: { name, reasons }, session: known })).toBe(account)
  })
})
