import { describe, expect, test } from 'vitest'
import { ACR, authenticationBy, PASSWORD_ALONE } from '../../src/oidc/acr.ts'
import {
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
  ] as const)('%s', (factor, amr) => {
    expect(authenticationBy(factor)).toEqual({ acr: MFA, amr })
  })

  test('a password alone is no second factor', () => {
    expect(PASSWORD_ALONE).toEqual({ acr: SFA, amr: ['pwd'] })
  })
})

describe('what a request asks of the second factor', () => {
  const NOW = { required: true, explicit: true }
  const HOUSE_RULE = { required: true, explicit: false }
  const SHOWN_AGAIN = { required: false, explicit: true }
  const NOTHING = { required: false, explicit: false }

  test.each([
    ['nothing at all', {}, NOTHING],
    ['the second factor’s level', { acr_values: MFA }, NOW],
    ['it first', { acr_values: `${MFA} ${SFA}` }, NOW],
    ['it after one there is not', { acr_values: `urn:unknown ${MFA}` }, NOW],
    ['the password’s level', { acr_values: SFA }, NOTHING],
    ['the password’s level first', { acr_values: `${SFA} ${MFA}` }, NOTHING],
    ['only unknown levels', { acr_values: 'urn:unknown' }, NOTHING],
    ['an essential claim', { claims: acr({ essential: true, value: MFA }) }, NOW],
    ['an essential claim of several', { claims: acr({ essential: true, values: [MFA] }) }, NOW],
    ['a voluntary claim', { claims: acr({ value: MFA }) }, NOW],
    ['a voluntary claim of several', { claims: acr({ values: [MFA, SFA] }) }, NOW],
    ['a claim for less', { claims: acr({ essential: true, values: [SFA, MFA] }) }, NOTHING],
    ['a claim, with less beside', { claims: acr({ value: MFA }), acr_values: SFA }, NOW],
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
    const { explicit } = asked
    expect(secondFactorAsked(params, null, 'required')).toEqual({ required: true, explicit })
  })

  test('the floor of a client is one that no request lowers', () => {
    for (const params of [
      {},
      { acr_values: SFA },
      { claims: acr({ essential: true, value: SFA }) },
    ])
      for (const byDefault of ['required', 'optional'] as const)
        expect(secondFactorAsked(params, 'required', byDefault)).toEqual(NOW)
    expect(secondFactorAsked({ acr_values: SFA }, null, 'required')).toEqual(HOUSE_RULE)
  })

  /** Whether it is due after a password alone, by whether the browser is remembered; `-` where nobody asks. */
  test.each([
    [NOW, false, 'due', 'due', 0],
    [HOUSE_RULE, false, 'due', '-', 1],
    [HOUSE_RULE, true, 'due', '-', 1],
    [SHOWN_AGAIN, false, '-', 'due', 1],
    [SHOWN_AGAIN, true, '-', '-', 0],
    [NOTHING, false, '-', '-', 0],
  ] as const)('%o, signed in for it: %s', async (asked, fresh, unknown, remembered, questions) => {
    for (const [trusted, expected] of [
      [false, unknown],
      [true, remembered],
    ] as const) {
      let questioned = 0
      const isTrusted = async () => {
        questioned++
        return trusted
      }
      const due = await isSecondFactorDue(asked, fresh, isTrusted)
      expect(due ? 'due' : '-').toBe(expected)
      expect(questioned).toBe(questions)
    }
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
