import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { codesMatch, hotp, parseCode } from '../src/second-factor/hotp.ts'

const SECRET = Buffer.from('12345678901234567890')

describe('RFC 4226', () => {
  test('appendix D (OTP-01)', () => {
    const expected = [
      '755224',
      '287082',
      '359152',
      '969429',
      '338314',
      '254676',
      '287922',
      '162583',
      '399871',
      '520489',
    ]
    expect(expected.map((_, counter) => hotp(SECRET, BigInt(counter), 6))).toEqual(expected)
  })

  test('leading zeros stay (OTP-02)', () => {
    expect([30n, 36n, 44n].map((counter) => hotp(SECRET, counter, 6))).toEqual([
      '026920',
      '003784',
      '000152',
    ])
  })

  test('counters beyond 32 and 53 bits (OTP-03)', () => {
    const counters = [2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n]
    expect(counters.map((counter) => hotp(SECRET, counter, 6))).toEqual([
      '117190',
      '999456',
      '891307',
      '860690',
      '181742',
    ])
    expect(counters.map((counter) => hotp(SECRET, counter, 8))).toEqual([
      '57117190',
      '55999456',
      '41891307',
      '86860690',
      '50181742',
    ])
  })

  test('two counters may have the same code, and are still two (OTP-11)', () => {
    expect(hotp(SECRET, 910_737n, 6)).toBe('911617')
    expect(hotp(SECRET, 910_738n, 6)).toBe('911617')
  })
})

describe('codes as people type them (OTP-17, OTP-18)', () => {
  test.each(['123456', ' 123 456 ', '123-456', '1 2 3 4 5 6', '12-3456'])(
    '%j is taken',
    (input) => {
      expect(parseCode(input, 6)).toBe('123456')
    },
  )

  test.each([
    '',
    '1',
    '12345',
    '1234567',
    '１２３４５６',
    '١٢٣٤٥٦',
    '0x1e240',
    '1e5',
    '+12345',
    '12345\0',
    '123--456',
    '-123456',
    '123456-',
    '1-2-3456',
    '123456\n',
    '12 34 5',
    '123.456',
    '1'.repeat(100_000),
    `123456${' '.repeat(58)}junk`,
  ])('%j is not', (input) => {
    expect(parseCode(input, 6)).toBeUndefined()
  })

  test('nothing else ever passes, and nothing throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (input) => {
        const code = parseCode(input, 6)
        if (code !== undefined) expect(code).toMatch(/^[0-9]{6}$/)
      }),
    )
  })

  test('comparison never throws on other lengths (OTP-16)', () => {
    expect(codesMatch('12345', '123456')).toBe(false)
    expect(codesMatch('', '123456')).toBe(false)
    expect(codesMatch('123456', '123456')).toBe(true)
    expect(codesMatch('123457', '123456')).toBe(false)
  })
})
