import { describe, expect, test } from 'vitest'
import { brand, maskPhone, parsePhoneNumber } from '../src/phone-number.ts'

describe('phone numbers', () => {
  test.each([
    '+46701234567',
    '+46 70 123 45 67',
    '0046701234567',
    '070-123 45 67',
    '(070) 1234567',
    ' +46 (0)70 1234567 ',
  ])('%j is one number (THR-13)', (input) => {
    expect(parsePhoneNumber(input, '*', 'SE')).toEqual({ number: '+46701234567', country: 'SE' })
  })

  test.each([
    '',
    '+1',
    '+0000000000',
    '112',
    'abc',
    '+4670123\r\nX: y',
    `+${'4'.repeat(40)}`,
    '+46701234567;ext=1',
    '+46701234567 ext 5',
    '📱',
    '+46701234567\0',
    '+4670;rm',
    '+4670&to=+979',
    '0701234567',
  ])('%j is not one', (input) => {
    expect(parsePhoneNumber(input, '*')).toEqual({ fault: 'not-a-number' })
  })

  test.each([
    ['+979123456789', 'premium'],
    ['+881612345678', 'satellite'],
    ['+19002345678', 'premium'],
    ['+447012345678', 'personal number'],
    ['+4686556000', 'landline'],
  ])('%s (%s) gets no texts (THR-15)', (input) => {
    expect(parsePhoneNumber(input, '*')).toHaveProperty('fault')
  })

  test('countries are an allow list', () => {
    expect(parsePhoneNumber('+46701234567', new Set(['DK']))).toEqual({
      fault: 'country-not-allowed',
    })
    expect(parsePhoneNumber('+46701234567', new Set(['DK', 'SE']))).toHaveProperty('number')
  })

  test('a mask shows two digits and not how many there are (ENU-04)', () => {
    expect(maskPhone(brand('+46701234567'))).toBe('••• ••• 67')
    expect(maskPhone(brand('+4520123456')).length).toBe(maskPhone(brand('+46701234567')).length)
  })
})
