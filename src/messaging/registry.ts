import type { Gateway } from './gateway.ts'
import { type BirdSettings, createBird } from './gateways/bird.ts'
import { createGatewayApi, type GatewayApiSettings } from './gateways/gatewayapi.ts'
import { createHttp, type HttpSettings } from './gateways/http.ts'
import { createMessagebird, type MessagebirdSettings } from './gateways/messagebird.ts'
import { createMessagebirdVerify } from './gateways/messagebird-verify.ts'
import type { Outbox } from './gateways/outbox.ts'
import { createSmstools, type SmstoolsSettings } from './gateways/smstools.ts'
import { createTelnyx, type TelnyxSettings } from './gateways/telnyx.ts'
import { createTelnyxVerify } from './gateways/telnyx-verify.ts'
import { createTextbee, type TextbeeSettings } from './gateways/textbee.ts'
import { createTwilio, type TwilioSettings } from './gateways/twilio.ts'
import { createVonage, type VonageSettings } from './gateways/vonage.ts'

/** What the core needs of a gateway's settings, beside what the driver itself takes. */
interface Common {
  /** how long one try may take */
  timeoutMs: number
  /** what texts come from, in place of the sender for all gateways */
  sender?: string | undefined
  /** `+E.164`: calls come from it, and texts to where names don't arrive */
  number?: string | undefined
}

/** Nothing, where a gateway's credentials aren't given. */
type Given<Settings> = (Settings & Common) | undefined | ''

/** Settings by whose credentials they hold. */
export interface GatewaySettings {
  textbee?: Given<TextbeeSettings>
  messagebird?: Given<MessagebirdSettings>
  bird?: Given<BirdSettings>
  smstools?: Given<SmstoolsSettings>
  telnyx?: Given<TelnyxSettings & { verifyProfileId?: string | undefined }>
  gatewayapi?: Given<GatewayApiSettings>
  twilio?: Given<TwilioSettings>
  vonage?: Given<VonageSettings>
  http?: Given<HttpSettings>
}

export type GatewayName = 'outbox' | 'messagebird-verify' | 'telnyx-verify' | keyof GatewaySettings

/** A gateway as the messenger uses it. */
export interface GatewayEntry extends Common {
  gateway: Gateway
}

/** It writes to memory; the limit is there only because every entry has one. */
const OUTBOX_TIMEOUT_MS = 1000

/**
 * Builds a gateway.
 *
 * @param outbox handed in, because the development page lists what is in it
 * @throws Error where it lacks its settings
 */
export function createGateway(
  name: GatewayName,
  settings: GatewaySettings,
  outbox: Outbox,
): GatewayEntry {
  const { telnyx } = settings
  const verifyProfileId = telnyx ? telnyx.verifyProfileId : undefined
  const builders: Record<GatewayName, () => GatewayEntry | undefined> = {
    outbox: () => ({ gateway: outbox, timeoutMs: OUTBOX_TIMEOUT_MS }),
    textbee: () => built(settings.textbee, createTextbee),
    messagebird: () => built(settings.messagebird, createMessagebird),
    'messagebird-verify': () => built(settings.messagebird, createMessagebirdVerify),
    bird: () => built(settings.bird, createBird),
    smstools: () => built(settings.smstools, createSmstools),
    telnyx: () => built(telnyx, createTelnyx),
    'telnyx-verify': () =>
      built(telnyx && verifyProfileId && { ...telnyx, verifyProfileId }, createTelnyxVerify),
    gatewayapi: () => built(settings.gatewayapi, createGatewayApi),
    twilio: () => built(settings.twilio, createTwilio),
    vonage: () => built(settings.vonage, createVonage),
    http: () => built(settings.http, createHttp),
  }
  const entry = builders[name]()
  if (!entry) throw new Error(`gateway ${name} lacks its settings`)
  return entry
}

function built<Settings>(
  given: Given<Settings>,
  create: (settings: Settings) => Gateway,
): GatewayEntry | undefined {
  if (!given) return undefined
  const { timeoutMs, sender, number } = given
  return { gateway: create(given), timeoutMs, sender, number }
}
