import { expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/config/config.ts'
import { costOf, priceOf } from '../../src/statistics/costs.ts'
import { failuresOf } from '../../src/statistics/failures.ts'
import { medianSeconds, sumTimes, TIME_BOUNDS } from '../../src/statistics/times.ts'

const { config } = readConfig({
  SMS_PRICES: ' DK = 0.032; US=0.0079;twilio/US=0.0083;twilio/*=0.09;*=0.08; ',
  VOICE_PRICES: 'vonage/*=0.1',
})
const { prices } = config

test.each([
  ['twilio', 'US', 'sms', 0.0083],
  ['vonage', 'US', 'sms', 0.0079],
  // A country's own price is closer than a gateway's for anywhere.
  ['twilio', 'DK', 'sms', 0.032],
  ['twilio', 'FR', 'sms', 0.09],
  ['twilio', null, 'sms', 0.09],
  ['vonage', 'FR', 'sms', 0.08],
  ['vonage', 'FR', 'voice', 0.1],
  ['twilio', 'US', 'voice', null],
])('the closest price counts: %s to %s by %s', (gateway, country, channel, price) => {
  expect(priceOf(prices, { gateway, country, channel })).toBe(price)
})

test('costs are parts times prices, and what has no price is told apart', () => {
  const text = { gateway: 'twilio', country: 'US', channel: 'sms', billed: 2, parts: 3 }
  const call = { gateway: 'twilio', country: 'US', channel: 'voice', billed: 4, parts: 4 }
  expect(costOf(prices, [text, call])).toEqual({ cost: 0.0249, unpriced: 4 })
  expect(costOf(prices, [call])).toEqual({ cost: null, unpriced: 4 })
  expect(costOf(prices, [])).toEqual({ cost: 0, unpriced: 0 })
})

test.each([
  ['SMS_PRICES', 'DK'],
  ['SMS_PRICES', 'DK=-1'],
  ['SMS_PRICES', 'DK=1e3'],
  ['SMS_PRICES', 'DK=0.1;DK=0.2'],
  ['SMS_PRICES', 'ZZ=0.1'],
  ['SMS_PRICES', 'dk=0.1'],
  ['SMS_PRICES', 'twilio=0.1'],
  ['SMS_PRICES', ';'],
  ['SMS_PRICES', 'twilo/DK=0.1'],
  ['VOICE_PRICES', 'textbee/DK=0.1'],
  ['PRICE_CURRENCY', 'EURO'],
  ['PRICE_CURRENCY', 'eur'],
])('a bad price stops the start: %s=%s', (variable, value) => {
  const read = () => readConfig({ [variable]: value })
  expect(read).toThrow(ConfigError)
  expect(read).toThrow(new RegExp(`${variable} (must be|names)`))
})

test('the median lies within its group of times, as far in as half of them are', () => {
  const times = (groups: Record<number, number>) =>
    Array.from({ length: TIME_BOUNDS.length + 1 }, (_, index) => groups[index] ?? 0)
  expect(medianSeconds(times({}))).toBeNull()
  // 10 to 12 seconds, then 12 to 15.
  expect(medianSeconds(times({ 5: 4 }))).toBe(11)
  expect(medianSeconds(times({ 5: 2, 6: 6 }))).toBe(13)
  expect(medianSeconds(times({ 0: 1 }))).toBe(1)
  expect(medianSeconds(times({ [TIME_BOUNDS.length]: 3 }))).toBe(600)
  expect(medianSeconds(sumTimes([times({ 5: 2 }), times({ 6: 6 })]))).toBe(13)
})

test('failures have words for causes that are known, and for those that come to be', () => {
  expect(
    failuresOf([
      { type: 'code.not-sent', cause: 'something-new', events: 1 },
      { type: 'session.started', cause: '', events: 9 },
      { type: 'code.wrong', cause: '', events: 2 },
    ]),
  ).toEqual([
    { cause: 'code.wrong', label: 'Wrong codes', count: 2 },
    { cause: 'code.not-sent/something-new', label: 'Code not sent: something-new', count: 1 },
  ])
})
