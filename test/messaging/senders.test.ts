import { describe, expect, test } from 'vitest'
import type { Capabilities } from '../../src/messaging/gateway.ts'
import { namesOf } from '../../src/messaging/orders.ts'
import { brandSender, createSenders, type SenderRules } from '../../src/messaging/senders.ts'
import { ACCEPTED, createTestOrders, scripted } from '../support/scripted-gateways.ts'

const NUMBER = '+12025550123'
const OWN = '+4512345678'

describe('the sender', () => {
  type Kinds = Capabilities['senderKinds']
  const choose = (
    senderKinds: Kinds,
    { own, number }: { own?: string; number?: string } = {},
    rules: Partial<SenderRules> = {},
    channel: 'sms' | 'voice' = 'sms',
  ) => {
    const { choose } = createSenders({
      chosen: undefined,
      brandName: 'Acme',
      numericCountries: new Set(['US']),
      ...rules,
    })
    const entry = scripted('g0', ACCEPTED, { can: { senderKinds }, sender: own, number })
    return ['SE', 'US', null].map((country) => choose(entry, channel, country))
  }
  const BOTH: Kinds = ['name', 'number']
  const ALL: Kinds = ['name', 'number', 'chosen-there']

  // In Sweden, in the United States, and where the country isn't known.
  test.each<[string, Kinds, Parameters<typeof choose>[1], Partial<SenderRules>, unknown[]]>([
    [
      'the brand, and a number where names don’t arrive',
      BOTH,
      { number: NUMBER },
      {},
      ['Acme', NUMBER, 'Acme'],
    ],
    [
      'nothing where a number is needed and there is none',
      BOTH,
      {},
      {},
      ['Acme', undefined, 'Acme'],
    ],
    ['the operator’s, before the brand', BOTH, {}, { chosen: 'Shop' }, ['Shop', undefined, 'Shop']],
    [
      'the gateway’s own, before the operator’s',
      BOTH,
      { own: 'Mine' },
      { chosen: 'Shop' },
      ['Mine', undefined, 'Mine'],
    ],
    ['the operator’s number, everywhere', BOTH, {}, { chosen: OWN }, [OWN, OWN, OWN]],
    ['a short code, which is a number', BOTH, { own: '12345' }, {}, ['12345', '12345', '12345']],
    [
      'the gateway’s number before a sender that is one',
      BOTH,
      { number: NUMBER },
      { chosen: OWN },
      [OWN, NUMBER, OWN],
    ],
    [
      'numbers alone, where all countries need them',
      BOTH,
      { number: NUMBER },
      { numericCountries: '*' },
      [NUMBER, NUMBER, NUMBER],
    ],
    ['whatever the account chooses', ALL, {}, {}, [null, null, null]],
    [
      'what is given, before what the account chooses',
      ALL,
      { number: NUMBER },
      { chosen: 'Shop' },
      ['Shop', NUMBER, 'Shop'],
    ],
    [
      'the account’s choice where a name doesn’t arrive',
      ALL,
      { own: 'Mine' },
      {},
      ['Mine', null, 'Mine'],
    ],
    [
      'a SIM’s, which nobody can choose',
      ['chosen-there'],
      { own: 'Mine', number: NUMBER },
      { chosen: 'Shop' },
      [null, null, null],
    ],
    ['none, where nothing is sent', [], {}, { chosen: 'Shop' }, [null, null, null]],
    [
      'a number, where names aren’t taken',
      ['number'],
      { number: NUMBER },
      { chosen: 'Shop' },
      [NUMBER, NUMBER, NUMBER],
    ],
    [
      'nothing, where a name is all there is and isn’t taken',
      ['number'],
      {},
      { chosen: 'Shop' },
      [undefined, undefined, undefined],
    ],
    [
      'a name, of a gateway that takes nothing else',
      ['name'],
      { number: NUMBER },
      {},
      ['Acme', undefined, 'Acme'],
    ],
  ])('is %s', (_, kinds, entry, rules, expected) => {
    expect(choose(kinds, entry, rules)).toEqual(expected)
  })

  test('of a call is a number, or is chosen there', () => {
    const called = (entry: Parameters<typeof choose>[1], rules = {}) =>
      choose(BOTH, entry, rules, 'voice')
    expect(called({ number: NUMBER, own: 'Mine' })).toEqual([NUMBER, NUMBER, NUMBER])
    expect(called({ own: OWN })).toEqual([OWN, OWN, OWN])
    expect(called({ own: 'Mine' })).toEqual([null, null, null])
  })
})

test.each([
  ['Acme', 'Acme'],
  ['Ärger & Söhne GmbH', 'Arger Sohne'],
  ['A very long name', 'A very long'],
  ['Ten signs! ab', 'Ten signs a'],
  ['Exactly te n', 'Exactly te'],
  ['日本', 'Sallyport'],
  ['2026', 'Sallyport'],
  ['  ', 'Sallyport'],
])('the brand %j is sent as %j', (brand, sender) => {
  expect(brandSender(brand)).toBe(sender)
})

describe('orders', () => {
  const gateways = ['a', 'b', 'c'].map((name) => scripted(name, ACCEPTED))
  const orders = createTestOrders({ gateways, routes: { DK: ['c', 'a'] }, calls: ['b'] })
  const names = (entries: typeof orders.entries) => entries.map(({ gateway }) => gateway.name)

  test('are by country for texts, and one for calls', () => {
    expect(names([...orders.of('sms', 'SE')])).toEqual(['a', 'b', 'c'])
    expect(names([...orders.of('sms', null)])).toEqual(['a', 'b', 'c'])
    expect(names([...orders.of('sms', 'DK')])).toEqual(['c', 'a'])
    expect(names([...orders.of('voice', 'DK')])).toEqual(['b'])
    expect(names(orders.entries)).toEqual(['a', 'b', 'c'])
    expect(orders.find('b')).toBe(gateways[1])
    expect(orders.find('d')).toBeUndefined()
    expect([orders.canCall, createTestOrders({ gateways }).canCall]).toEqual([true, false])
  })

  test('name each gateway once', () => {
    const routes = new Map([['DK', ['telnyx', 'twilio'] as const]])
    const rules = {
      texts: ['textbee', 'telnyx'] as const,
      routes,
      calls: ['vonage', 'telnyx'] as const,
    }
    expect(namesOf(rules)).toEqual(['textbee', 'telnyx', 'twilio', 'vonage'])
  })
})
