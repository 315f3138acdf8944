import { createPrivateKey } from 'node:crypto'
import { z } from 'zod'
import type { Gateway, GatewayCheck, OutgoingMessage, SendResult } from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'
import { type Answer, asProviderId, byStatus, judge, NO_CALLS } from '../judge.ts'
import { asSsml } from '../speech.ts'
import { refusalOf } from './vonage-errors.ts'
import { vonageReports } from './vonage-reports.ts'
import { applicationToken } from './vonage-token.ts'

export interface VonageSettings {
  /** `https://api.nexmo.com` */
  baseUrl: string
  apiKey: string
  apiSecret: string
  /** whose calls they are; it calls only where both are given */
  applicationId?: string | undefined
  /** of the application: RSA, in PEM */
  privateKey?: string | undefined
  /** that its webhooks are signed with; several during a change */
  signatureSecrets: readonly string[]
}

/** Our languages in the names of its voices. */
const LOCALES: Readonly<Record<string, string>> = {
  ar: 'ar',
  cs: 'cs-CZ',
  da: 'da-DK',
  de: 'de-DE',
  el: 'el-GR',
  en: 'en-GB',
  es: 'es-ES',
  fi: 'fi-FI',
  fr: 'fr-FR',
  hu: 'hu-HU',
  it: 'it-IT',
  ja: 'ja-JP',
  ko: 'ko-KR',
  nb: 'nb-NO',
  nl: 'nl-NL',
  pl: 'pl-PL',
  pt: 'pt-PT',
  ro: 'ro-RO',
  ru: 'ru-RU',
  sv: 'sv-SE',
  tr: 'tr-TR',
  uk: 'uk-UA',
  zh: 'cmn-CN',
}

/** Seconds a phone rings, and a call may last: the speech takes less than one minute. */
const RINGING_SECONDS = 30
const CALL_SECONDS = 120

/** Vonage, formerly Nexmo: texts by its Messages API, calls by its Voice API. */
export function createVonage(settings: VonageSettings): Gateway {
  const { apiKey, apiSecret, applicationId, privateKey } = settings
  const base = settings.baseUrl.replace(/\/+$/, '')
  const basic = Buffer.from(`${apiKey}:${apiSecret}`).toString('base64')
  const account = { authorization: `Basic ${basic}` }
  const caller = applicationId && privateKey && { applicationId, key: createPrivateKey(privateKey) }
  const reports = vonageReports(settings.signatureSecrets)

  return {
    name: 'vonage',
    can: {
      channels: caller ? ['sms', 'voice'] : ['sms'],
      voiceLanguages: caller ? Object.keys(LOCALES) : [],
      senderKinds: ['name', 'number'],
      validity: { minSeconds: 20, maxSeconds: 604_800 },
      encoding: 'by-gateway',
      maxTextLength: 1000,
      idempotent: false,
      sandbox: false,
    },

    async send(message, signal) {
      if (message.channel === 'sms') {
        if (message.sender === null)
          return { outcome: 'refused', failure: 'sender', detail: 'no-sender' }
        const body = textOf(message, message.sender)
        const request = {
          method: 'POST',
          url: `${base}/v1/messages`,
          headers: account,
          body,
        } as const
        return judge(await requestJson(request, signal), acceptedAs('message_uuid'), refusalOf)
      }
      if (!caller) return NO_CALLS
      const headers = { authorization: `Bearer ${applicationToken(caller)}` }
      const request = {
        method: 'POST',
        url: `${base}/v1/calls`,
        headers,
        body: callOf(message),
      } as const
      return judge(await requestJson(request, signal), acceptedAs('uuid'), refusalOf)
    },

    async check(signal) {
      const list = (path: string, authorization: string) =>
        requestJson(
          { method: 'GET', url: `${base}${path}?page_size=1`, headers: { authorization } },
          signal,
        )
      const texts = await list('/v2/applications', account.authorization)
      const check = judgeCheck(texts, 'the API key and secret')
      if (!check.ok || !caller) return check
      const calls = await list('/v1/calls', `Bearer ${applicationToken(caller)}`)
      return judgeCheck(calls, 'the API key and secret, and the application’s key,')
    },

    ...(reports && { reports }),
  }
}

type Text = Extract<OutgoingMessage, { channel: 'sms' }>
type Call = Extract<OutgoingMessage, { channel: 'voice' }>

function textOf({ to, text, reference, validitySeconds, reportUrl }: Text, sender: string) {
  return {
    message_type: 'text',
    channel: 'sms',
    to: digitsOf(to),
    from: digitsOf(sender),
    text,
    client_ref: reference,
    ttl: validitySeconds,
    sms: { encoding_type: 'auto' },
    ...(reportUrl !== null && { webhook_url: reportUrl }),
  }
}

function callOf({ to, sender, speech, reportUrl }: Call) {
  const talk = {
    action: 'talk',
    text: asSsml(speech),
    language: LOCALES[speech.language] ?? LOCALES.en,
    style: 0,
    // The speech itself says the code twice.
    loop: 1,
  }
  return {
    to: [{ type: 'phone', number: digitsOf(to) }],
    ...(sender === null
      ? { random_from_number: true }
      : { from: { type: 'phone', number: digitsOf(sender) } }),
    ncco: [talk],
    ...(reportUrl !== null && { event_url: [reportUrl] }),
    ringing_timer: RINGING_SECONDS,
    length_timer: CALL_SECONDS,
    // A code on a voicemail waits there for whoever guesses its PIN.
    machine_detection: 'hangup',
  }
}

/** Neither `+` nor `00`; a name stays as it is. */
function digitsOf(address: string): string {
  return address.replace(/^\+/, '')
}

function acceptedAs(field: 'message_uuid' | 'uuid') {
  const Accepted = z.object({ [field]: z.string().min(1) })
  return ({ json }: Answer): SendResult | undefined => {
    const { data } = Accepted.safeParse(json)
    return data && { outcome: 'accepted', providerId: asProviderId(data[field]) }
  }
}

function judgeCheck(result: HttpResult, what: string): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status } = result
  if (status === 200) return { ok: true, detail: `${what} work` }
  if (status === 401 || status === 403) return { ok: false, detail: `${what} were refused` }
  return { ok: false, detail: `unexpected answer: ${byStatus(result).detail}` }
}
