import type { Variables } from './variables.ts'

/** A rule of one gateway: what it needs, and with which variables that isn't met. */
interface Needs {
  always?: ReadonlyArray<keyof Variables>
  /** beside those, where it calls */
  voice?: ReadonlyArray<keyof Variables>
  /** which number calls come from: of its own, or its sender where that is one */
  callsFrom?: readonly [number: keyof Variables, sender: keyof Variables]
  channels: ReadonlyArray<'sms' | 'voice'>
  /** it makes and checks codes itself, so no gateway that carries ours can stand in for it */
  ownCodes?: true
  development?: true
}

/** Every gateway there is. */
const GATEWAYS = {
  outbox: { channels: ['sms', 'voice'], development: true },
  textbee: { channels: ['sms'], always: ['TEXTBEE_API_KEY', 'TEXTBEE_DEVICE_ID'] },
  messagebird: {
    channels: ['sms', 'voice'],
    always: ['MESSAGEBIRD_ACCESS_KEY'],
    callsFrom: ['MESSAGEBIRD_NUMBER', 'MESSAGEBIRD_SENDER'],
  },
  'messagebird-verify': {
    channels: ['sms', 'voice'],
    always: ['MESSAGEBIRD_ACCESS_KEY'],
    ownCodes: true,
  },
  bird: { channels: ['sms'], always: ['BIRD_API_KEY'] },
  smstools: {
    channels: ['sms', 'voice'],
    always: ['SMSTOOLS_CLIENT_ID', 'SMSTOOLS_CLIENT_SECRET'],
  },
  telnyx: {
    channels: ['sms', 'voice'],
    always: ['TELNYX_API_KEY'],
    voice: ['TELNYX_ACCOUNT_SID', 'TELNYX_TEXML_APPLICATION_ID'],
    callsFrom: ['TELNYX_NUMBER', 'TELNYX_SENDER'],
  },
  'telnyx-verify': {
    channels: ['sms', 'voice'],
    always: ['TELNYX_API_KEY', 'TELNYX_VERIFY_PROFILE_ID'],
    ownCodes: true,
  },
  gatewayapi: { channels: ['sms'] },
  twilio: {
    channels: ['sms', 'voice'],
    always: ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN'],
    callsFrom: ['TWILIO_NUMBER', 'TWILIO_SENDER'],
  },
  vonage: {
    channels: ['sms', 'voice'],
    always: ['VONAGE_API_KEY', 'VONAGE_API_SECRET'],
    // It has numbers of its own to call from.
    voice: ['VONAGE_APPLICATION_ID', 'VONAGE_PRIVATE_KEY'],
  },
  http: { channels: ['sms'], always: ['HTTP_SMS_URL', 'HTTP_SMS_SECRET'] },
} as const satisfies Record<string, Needs>

export type GatewayName = keyof typeof GATEWAYS

const needsOf = (name: GatewayName): Needs => GATEWAYS[name]

export const GATEWAY_NAMES = Object.keys(GATEWAYS).filter(isGatewayName)

export function isGatewayName(name: string): name is GatewayName {
  return Object.hasOwn(GATEWAYS, name)
}

interface Fault {
  variable: string
  problem: string
}

/** Everything that is wrong with which gateways are named where, and with what they need. */
export function gatewayFaults(v: Variables): Fault[] {
  const orders: Array<
    [variable: keyof Variables, names: readonly string[], channel: 'sms' | 'voice']
  > = [
    ['SMS_GATEWAYS', v.SMS_GATEWAYS ?? [], 'sms'],
    ...[...(v.SMS_ROUTES ?? [])].map(([, names]): [keyof Variables, readonly string[], 'sms'] => [
      'SMS_ROUTES',
      names,
      'sms',
    ]),
    ['VOICE_GATEWAYS', v.VOICE_GATEWAYS ?? [], 'voice'],
  ]
  const faults = orders.flatMap(([variable, names, channel]) =>
    orderFaults(v, variable, names, channel),
  )
  const makers = orders.map(([, names]) =>
    names.filter(isGatewayName).find((name) => needsOf(name).ownCodes),
  )
  for (const [index, [variable, names]] of orders.entries()) {
    if (makers[index] && names.length > 1) {
      const problem = `names ${makers[index]} beside others, but it makes codes of its own, so no other can stand in for it`
      faults.push({ variable, problem })
    }
  }
  const calls = orders.at(-1)?.[1] ?? []
  const texts = new Set(makers.slice(0, -1))
  if (calls.length > 0 && (texts.size > 1 || !texts.has(makers.at(-1)))) {
    faults.push({
      variable: 'VOICE_GATEWAYS',
      problem:
        'must make codes where SMS_GATEWAYS and SMS_ROUTES do, or a call would say another code than the text',
    })
  }
  return [...faults, ...priceFaults('SMS_PRICES', v), ...priceFaults('VOICE_PRICES', v)]
}

/** A price of no gateway would be left out of account, and nobody would see it. */
function priceFaults(variable: 'SMS_PRICES' | 'VOICE_PRICES', v: Variables): Fault[] {
  const named = [...(v[variable]?.keys() ?? [])].filter((to) => to.includes('/'))
  return named.flatMap((to) => {
    const [name = ''] = to.split('/')
    if (!isGatewayName(name))
      return { variable, problem: `names an unknown gateway, ${JSON.stringify(name)}` }
    if (variable === 'VOICE_PRICES' && !needsOf(name).channels.includes('voice'))
      return { variable, problem: `names ${name}, which can’t call` }
    return []
  })
}

function orderFaults(
  v: Variables,
  variable: keyof Variables,
  names: readonly string[],
  channel: 'sms' | 'voice',
): Fault[] {
  const faults: Fault[] = []
  if (variable === 'SMS_GATEWAYS' && v.SMS_GATEWAYS?.length === 0)
    faults.push({ variable, problem: 'names no gateway' })
  for (const name of names) {
    if (!isGatewayName(name)) {
      faults.push({ variable, problem: `names an unknown gateway, ${JSON.stringify(name)}` })
      continue
    }
    const { always = [], voice = [], callsFrom, channels, development } = needsOf(name)
    if (development && v.NODE_ENV === 'production')
      faults.push({ variable, problem: `must not name ${name} in production: it sends nothing` })
    if (!channels.includes(channel))
      faults.push({ variable, problem: `names ${name}, which can’t call` })
    for (const needed of channel === 'voice' ? [...always, ...voice] : always) {
      if (v[needed] === undefined)
        faults.push({ variable: needed, problem: `is missing: ${variable} names ${name}` })
    }
    if (channel === 'voice' && callsFrom && !hasNumber(v, callsFrom))
      faults.push({ variable: callsFrom[0], problem: `is missing: ${variable} names ${name}` })
    if (name === 'gatewayapi') faults.push(...gatewayApiFaults(v, variable))
    if (name === 'twilio' && !v.TWILIO_API_KEY !== !v.TWILIO_API_SECRET) {
      const missing = v.TWILIO_API_KEY ? 'TWILIO_API_SECRET' : 'TWILIO_API_KEY'
      faults.push({
        variable: missing,
        problem: 'is missing: a key needs its secret, and it its key',
      })
    }
    if (name === 'telnyx' && channel === 'sms' && !hasTelnyxSender(v)) {
      const problem =
        'is missing: without a profile, TELNYX_NUMBER must say which number texts come from'
      faults.push({ variable: 'TELNYX_MESSAGING_PROFILE_ID', problem })
    }
  }
  if (new Set(names).size !== names.length)
    faults.push({ variable, problem: 'names a gateway twice' })
  return faults
}

/** Names as senders need a profile; a number does without. */
function hasTelnyxSender(v: Variables): boolean {
  const profile = v.TELNYX_MESSAGING_PROFILE_ID
  return profile !== undefined || hasNumber(v, ['TELNYX_NUMBER', 'TELNYX_SENDER'])
}

function hasNumber(v: Variables, [number, own]: readonly [keyof Variables, keyof Variables]) {
  const sender = v[own] ?? v.SMS_SENDER
  return v[number] !== undefined || (typeof sender === 'string' && /^\+?\d+$/.test(sender))
}

function gatewayApiFaults(v: Variables, variable: string): Fault[] {
  if (v.GATEWAYAPI_TOKEN !== undefined) return []
  if (v.GATEWAYAPI_API === 'messaging') {
    const problem = 'is missing: the messaging API takes nothing else'
    return [{ variable: 'GATEWAYAPI_TOKEN', problem }]
  }
  if (v.GATEWAYAPI_KEY === undefined && v.GATEWAYAPI_SECRET === undefined) {
    const problem = `is missing: ${variable} names gatewayapi (or give GATEWAYAPI_KEY and GATEWAYAPI_SECRET)`
    return [{ variable: 'GATEWAYAPI_TOKEN', problem }]
  }
  const missing = v.GATEWAYAPI_KEY === undefined ? 'GATEWAYAPI_KEY' : 'GATEWAYAPI_SECRET'
  if (v[missing] !== undefined) return []
  return [{ variable: missing, problem: 'is missing: OAuth needs key and secret' }]
}
