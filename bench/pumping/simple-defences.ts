import { createTimes, type Defence, plain } from './defence.ts'
import { HOUR } from './traffic.ts'

export const createNone = (): Defence => plain('none', () => true)

/** The three limits that most products have, per hour. */
export function createFixed(limits: { phone: number; address: number; overall: number }): Defence {
  const sent = createTimes()
  return plain('fixed limits', ({ person }, at, address) => {
    const keys = [
      { key: `number ${person.number}`, most: limits.phone },
      { key: `address ${address}`, most: limits.address },
      { key: 'all', most: limits.overall },
    ]
    if (keys.some(({ key, most }) => sent.within(key, at, HOUR) >= most)) return false
    for (const { key } of keys) sent.add(key, at)
    return true
  })
}
