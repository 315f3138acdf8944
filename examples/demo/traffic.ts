import { createHash } from 'node:crypto'

/** Rows of one kind each, as the database has them; times in seconds since 1970. */
export interface MessageRow {
  id: string
  challenge: string
  send: number
  channel: 'sms' | 'voice'
  gateway: string
  country: string
  parts: number
  state: 'accepted' | 'refused' | 'failed' | 'delivered'
  failure: string | null
  at: number
  until: number
}

export interface EventRow {
  at: number
  type: string
  actor: string
  account: string | null
  client: string | null
  detail: Record<string, string | number>
}

export interface Traffic {
  messages: MessageRow[]
  events: EventRow[]
}

/** Nothing of a minute's traffic happens later than this. */
export const LATEST_SECONDS = 240
/** Codes of a usual weekday. */
const PER_DAY = 230
/** How busy each hour is beside the others (UTC). */
const HOURS = [
  3, 3, 3, 3, 3, 6, 13, 25, 30, 28, 25, 22, 21, 26, 27, 24, 20, 16, 14, 13, 11, 8, 5, 3,
]
const BUSY = HOURS.reduce((sum, hour) => sum + hour, 0)

/** Each country's share, and the gateways that carry its texts. */
const COUNTRIES = [
  { country: 'SE', share: 30, gateways: ['gatewayapi', 'messagebird'] },
  { country: 'DK', share: 16, gateways: ['gatewayapi', 'messagebird'] },
  { country: 'DE', share: 14, gateways: ['vonage', 'twilio'] },
  { country: 'NO', share: 12, gateways: ['gatewayapi', 'messagebird'] },
  { country: 'GB', share: 10, gateways: ['twilio', 'vonage'] },
  { country: 'US', share: 8, gateways: ['twilio', 'vonage'] },
  { country: 'FR', share: 5, gateways: ['vonage', 'twilio'] },
  { country: 'PL', share: 5, gateways: ['messagebird', 'gatewayapi'] },
] as const

/** A gateway that refuses most of what it is given on one day. */
export interface Trouble {
  gateway: string
  /** number of the day, counted from 1970 */
  day: number
}

/**
 * What a minute brought, the same each time it is asked for: made up, but as a provider of a few hundred people
 * would see it.
 * @param minute its number, counted from 1970
 * @param people ids of those who sign in
 */
export function trafficOf(minute: number, people: readonly string[], trouble: Trouble): Traffic {
  const chance = chances(minute)
  const traffic: Traffic = { messages: [], events: [] }
  const hour = Math.floor(minute / 60)
  const weekend = [2, 3].includes(Math.floor(hour / 24) % 7)
  const rate = ((PER_DAY * (HOURS[hour % 24] ?? 0)) / BUSY / 60) * (weekend ? 0.4 : 1)
  for (let left = chance() - Math.exp(-rate), index = 0, odds = rate; left > 0; index++) {
    const account = people[Math.floor(chance() * people.length)] ?? ''
    addSignIn(
      traffic,
      { id: `${minute}-${index}`, at: minute * 60 + chance() * 59, account },
      chance,
      trouble,
    )
    left -= Math.exp(-rate) * odds
    odds *= rate / (index + 2)
  }
  return traffic
}

interface Begun {
  id: string
  at: number
  account: string
}

type Chance = () => number

/** One person who signs in, from the password to the code, or as far as they come. */
function addSignIn({ messages, events }: Traffic, begun: Begun, chance: Chance, trouble: Trouble) {
  const { at, account } = begun
  const challenge = idOf(`challenge ${begun.id}`)
  const { country, gateways } = pick(chance)
  let now = at
  const tell = (type: string, detail: EventRow['detail'] = {}, actor = 'self') =>
    events.push({
      at: now,
      type,
      actor,
      account,
      client: type === 'session.started' ? 'demo-app' : null,
      detail,
    })

  /** @returns seconds until it arrives; undefined when it doesn't */
  function send(channel: 'sms' | 'voice', number: number): number | undefined {
    const failing =
      Math.floor(at / 86_400) === trouble.day && at % 86_400 > 6 * 3600 && at % 86_400 < 15 * 3600
    for (const gateway of gateways) {
      const id = idOf(`message ${begun.id} ${channel} ${gateway}`)
      const refused = chance() < (failing && gateway === trouble.gateway ? 0.75 : 0.004)
      const arrives = 1.5 + 5 * chance() * chance() + (chance() < 0.03 ? 20 : 0)
      const lost = chance() < (failing && gateway === trouble.gateway ? 0.3 : 0.015)
      const quiet = chance() < 0.03
      const state = refused ? 'refused' : lost ? 'failed' : quiet ? 'accepted' : 'delivered'
      const failure = refused ? 'transient' : null
      const parts = channel === 'sms' && chance() < 0.02 ? 2 : 1
      const row = {
        id,
        challenge,
        send: number,
        channel,
        gateway,
        country,
        parts,
        state,
        failure,
      } as const
      messages.push({ ...row, at: now, until: now + arrives })
      tell(refused ? 'message.failed' : 'message.sent', {
        message: id,
        gateway,
        channel,
        country,
        parts,
        ...(refused && { failure: 'transient' }),
      })
      if (refused) {
        now += 1.5
        continue
      }
      const sent = now
      now += arrives
      if (lost) tell('message.undelivered', { message: id, gateway, state }, `gateway:${gateway}`)
      else if (!quiet)
        tell('message.delivered', { message: id, gateway, state }, `gateway:${gateway}`)
      now = sent
      return lost ? undefined : arrives
    }
    return undefined
  }

  if (chance() < 0.05) {
    tell('password.wrong')
    now += 6 + 10 * chance()
  }
  tell('password.right')
  tell('code.issued', { challenge, factor: 'sms' })
  now += 0.3
  let arrived = send('sms', 1)
  let factor = 'sms'
  if (arrived === undefined || chance() < 0.015) {
    if (chance() < 0.3) return
    now += 35 + 20 * chance()
    factor = 'voice'
    tell('code.sent-again', { challenge, factor, send: 2 })
    arrived = send('voice', 2)
  }
  if (arrived === undefined || chance() < 0.055) return
  now += arrived + 4 + 14 * chance() + 40 * chance() ** 4
  for (let wrong = 0; wrong < 5 && chance() < (wrong === 0 ? 0.05 : 0.35); wrong++) {
    tell('code.wrong', { challenge })
    now += 8
    if (wrong < 4) continue
    tell('codes.locked')
    return
  }
  tell('code.right', { challenge, factor })
  const acr = 'https://refeds.org/profile/mfa'
  tell('session.started', { acr, amr: factor === 'sms' ? 'pwd otp sms mfa' : 'pwd otp tel mfa' })
}

/** Half an hour in which somebody asks for codes to a country where nobody lives, until it is paused. */
export function pumping(at: number, country: string): Traffic {
  const traffic: Traffic = { messages: [], events: [] }
  const chance = chances(at)
  const event = (after: number, type: string, detail: EventRow['detail']) =>
    traffic.events.push({
      at: at + after,
      type,
      actor: 'self',
      account: null,
      client: null,
      detail,
    })
  for (let tries = 0; tries < 190; tries++) {
    const after = tries * 9 + 4 * chance()
    if (tries >= 48) {
      event(after, 'code.not-sent', { reason: 'country-paused', country })
      continue
    }
    const id = idOf(`pumped ${at} ${tries}`)
    const challenge = idOf(`pumped challenge ${at} ${tries}`)
    const gateway = 'twilio'
    event(after, 'code.issued', { challenge, factor: 'sms' })
    event(after + 1, 'message.sent', { message: id, gateway, channel: 'sms', country, parts: 1 })
    const row = { id, challenge, send: 1, channel: 'sms', gateway, country, parts: 1 } as const
    const times = { at: at + after + 1, until: at + after + 2 }
    traffic.messages.push({ ...row, ...times, state: 'accepted', failure: null })
  }
  const pausedAfter = 48 * 9
  event(pausedAfter, 'alert.conversion', { country, sends: 48, passes: 0 })
  event(pausedAfter, 'country.paused', { country, seconds: 3600 })
  traffic.events.sort((a, b) => a.at - b.at)
  return traffic
}

function pick(chance: Chance) {
  let left = chance() * 100
  for (const way of COUNTRIES) {
    left -= way.share
    if (left < 0) return way
  }
  return COUNTRIES[0]
}

const idOf = (text: string) => createHash('sha256').update(text).digest('base64url').slice(0, 22)

/** Numbers from 0 to 1, always the same of one seed (mulberry32). */
function chances(seed: number): Chance {
  let state = Math.imul(seed, 0x9e3779b1)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
