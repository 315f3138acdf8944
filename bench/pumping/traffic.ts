import { COUNTRIES, type Country, countryOf } from './countries.ts'
import { createRandom, type Random } from './random.ts'

export const HOUR = 3600

/** An account, and the number it is texted at. */
export interface Person {
  account: string
  number: string
  /** the ten thousand numbers that it is one of */
  block: string
  country: string
  /** whether the account had proven the number before; else it is added at this sign-in, its first */
  known: boolean
}

/** A sign-in that comes to the point where a text is asked for: the password was right. */
export interface SignIn {
  id: number
  person: Person
  /** seconds since the beginning */
  at: number
  /** where the first request comes from, the second, and so on; the last one stands for all that follow */
  addresses: string[]
  /**
   * `types` the code; asks `again` since the first text doesn't arrive, and types then; `leaves`; or belongs to
   * the `attacker`, who asks for as many texts as there are and types nothing
   */
  does: 'types' | 'again' | 'leaves' | 'attacker'
  /** seconds until the code is typed, or asked for again */
  after: number
  /** whether a code of the account was right in this browser before */
  knownBrowser: boolean
}

export interface Attack {
  name: string
  /** in a word or two, for the report */
  what: string
  waves: readonly Wave[]
}

/** Sign-ins of an attacker to numbers of one country, each request from another address. */
interface Wave {
  country: string
  /** sign-ins of new accounts, with numbers in the first so many of the country's blocks, where honest people have some, too */
  blocks?: number
  /** sign-ins an hour */
  hourly: number
  /** hours since the beginning */
  from: number
  to: number
  /** instead: sign-ins of so many honest people whose passwords leaked, again and again */
  leaked?: number
}

export const ATTACKS: readonly Attack[] = [
  {
    name: 'small country',
    what: 'new accounts add numbers of 3 blocks in AZ, 90 an hour for 6 hours',
    waves: [{ country: 'AZ', blocks: 3, hourly: 90, from: 21, to: 27 }],
  },
  {
    name: 'large country',
    what: 'new accounts add numbers of 10 blocks in GB, 240 an hour for 6 hours',
    waves: [{ country: 'GB', blocks: 10, hourly: 240, from: 21, to: 27 }],
  },
  {
    name: 'trickle',
    what: 'new accounts add numbers of 4 blocks in GB and 2 in AZ, 6 and 1 an hour for 24 hours',
    waves: [
      { country: 'GB', blocks: 4, hourly: 6, from: 12, to: 36 },
      { country: 'AZ', blocks: 2, hourly: 1, from: 12, to: 36 },
    ],
  },
  {
    name: 'leaked passwords',
    what: 'passwords of 150 people in GB, 120 sign-ins an hour for 6 hours, to their own numbers',
    waves: [{ country: 'GB', leaked: 150, hourly: 120, from: 21, to: 27 }],
  },
]

/** How busy each hour of a day is, from midnight on, against the busiest. */
const DAY = [1, 1, 0.5, 0.5, 0.5, 1, 3, 6, 9, 10, 10, 9, 8, 9, 9, 9, 8, 8, 7, 7, 6, 5, 3, 2]
/** The traffic begins at noon, so that its middle is one too. */
const FIRST_HOUR = 12

/** Of sign-ins with a number that was proven before, so many come from a browser that a code was right in. */
const KNOWN_BROWSERS = 0.85

/** Addresses that an attacker takes turns with. */
const ADDRESSES = 3000

/**
 * Two days of honest sign-ins, the same for every attack, and the attack amid them.
 * @param share of the traffic, honest and not, for a short run
 */
export function createTraffic({ waves }: Attack, hours = 48, share = 1): SignIn[] {
  const honest = COUNTRIES.flatMap((country, index) =>
    honestOf(country, hours, share, createRandom(index + 1)),
  )
  const attacker = waves.flatMap((wave, index) => attackOf(wave, share, createRandom(index + 101)))
  return [...honest, ...attacker]
    .sort((a, b) => a.at - b.at)
    .map((signIn, id) => ({ ...signIn, id }))
}

function honestOf(country: Country, hours: number, share: number, random: Random): SignIn[] {
  const busiest = (country.daily * share) / DAY.reduce((sum, weight) => sum + weight)
  const signIns: SignIn[] = []
  for (let hour = 0; hour < hours; hour++) {
    const expected = busiest * (DAY[(FIRST_HOUR + hour) % 24] ?? 0)
    const count = Math.floor(expected) + (random.chance(expected % 1) ? 1 : 0)
    for (let i = 0; i < count; i++) {
      const known = !random.chance(0.1)
      const who = known
        ? `${country.code}-${random.below(country.daily * 2)}`
        : `${country.code}-new-${signIns.length}`
      const behaviour = random.next()
      const does = behaviour < 0.9 ? 'types' : behaviour < 0.95 ? 'again' : 'leaves'
      signIns.push({
        id: 0,
        person: { ...personOf(who, country), known },
        at: (hour + random.next()) * HOUR,
        addresses: [addressOf(who, country)],
        does,
        after: does === 'again' ? random.between(35, 70) : random.between(8, 60),
        knownBrowser: known && random.chance(KNOWN_BROWSERS),
      })
    }
  }
  return signIns
}

/** A quarter of all people share the addresses of mobile networks; the others have one of their own. */
function addressOf(who: string, { code, daily }: Country): string {
  const random = createRandom(hash(`address of ${who}`))
  return random.chance(0.25) ? `${code}-network-${random.below(Math.ceil(daily / 60))}` : who
}

function personOf(who: string, { code, blocks }: Country): Omit<Person, 'known'> {
  const block = `${code}-${createRandom(hash(who)).below(blocks)}`
  return { account: who, number: `number of ${who}`, block, country: code }
}

function attackOf(wave: Wave, share: number, random: Random): SignIn[] {
  const country = countryOf(wave.country)
  const hourly = wave.hourly * share
  const count = Math.round((wave.to - wave.from) * hourly)
  return Array.from({ length: count }, (_, index) => ({
    id: 0,
    person: victimOf(wave, country, index, share, random),
    at: wave.from * HOUR + ((index + random.next()) / hourly) * HOUR,
    addresses: Array.from({ length: 4 }, () => `proxy-${random.below(ADDRESSES)}`),
    does: 'attacker' as const,
    after: 0,
    knownBrowser: false,
  }))
}

function victimOf(
  wave: Wave,
  country: Country,
  index: number,
  share: number,
  random: Random,
): Person {
  const { code } = country
  if (wave.leaked !== undefined) {
    const who = `${code}-${random.below(Math.ceil(wave.leaked * share))}`
    return { ...personOf(who, country), known: true }
  }
  const account = `attacker-${code}-${index}`
  const block = `${code}-${index % (wave.blocks ?? 1)}`
  return { account, number: `number of ${account}`, block, country: code, known: false }
}

/** FNV-1a */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const character of text) value = Math.imul(value ^ character.charCodeAt(0), 0x01000193)
  return value
}
