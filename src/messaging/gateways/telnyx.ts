import { z } from 'zod'
import type { Gateway, GatewayCheck, OutgoingMessage, SendResult } from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'
import { type Answer, asProviderId, judge, NO_CALLS } from '../judge.ts'
import { telnyxError, telnyxRefusal } from './telnyx-errors.ts'
import { readTelnyxCallback, readTelnyxMessage, telnyxKeys } from './telnyx-reports.ts'
import { asAliceSays, CALL_SECONDS, LOCALES, RING_SECONDS } from './twilio-calls.ts'

export interface TelnyxSettings {
  /** e.g. `https://api.telnyx.com/v2` */
  baseUrl: string
  apiKey: string
  /** names as senders need it, and a pool of numbers */
  messagingProfileId?: string | undefined
  /** for calls, both of them */
  accountSid?: string | undefined
  texmlApplicationId?: string | undefined
  /** which its reports are signed with; without one they aren't taken */
  publicKeys: readonly string[]
}

const VOICES = { ...LOCALES, tr: 'tr-TR' }

/** Ten parts of a text beyond GSM-7. */
const MAX_TEXT_LENGTH = 670

/** Telnyx: texts by its messaging API, calls by TeXML. */
export function createTelnyx(settings: TelnyxSettings): Gateway {
  const { apiKey, messagingProfileId, accountSid, texmlApplicationId } = settings
  const baseUrl = settings.baseUrl.replace(/\/+$/, '')
  const headers = { authorization: `Bearer ${apiKey}` }
  const keys = telnyxKeys(settings.publicKeys)
  const calls = accountSid !== undefined && texmlApplicationId !== undefined

  function requestFor(message: OutgoingMessage): { url: string; body: object } | null {
    const { to, sender, reportUrl } = message
    if (message.channel === 'sms') {
      const body = {
        to,
        ...(sender !== null && { from: sender }),
        ...(messagingProfileId !== undefined && { messaging_profile_id: messagingProfileId }),
        text: message.text,
        type: 'SMS',
        ...(reportUrl !== null && { webhook_url: reportUrl }),
      }
      return { url: `${baseUrl}/messages`, body }
    }
    if (!calls || sender === null) return null
    const body = {
      ApplicationSid: texmlApplicationId,
      To: to,
      From: sender,
      Texml: asAliceSays(message.speech, VOICES),
      Timeout: RING_SECONDS,
      TimeLimit: CALL_SECONDS,
      ...(reportUrl !== null && { StatusCallback: reportUrl }),
    }
    return { url: `${baseUrl}/texml/Accounts/${encodeURIComponent(accountSid)}/Calls`, body }
  }

  return {
    name: 'telnyx',
    can: {
      channels: calls ? ['sms', 'voice'] : ['sms'],
      voiceLanguages: calls ? Object.keys(VOICES) : [],
      senderKinds:
        messagingProfileId === undefined ? ['number'] : ['name', 'number', 'chosen-there'],
      validity: null,
      encoding: 'by-gateway',
      maxTextLength: MAX_TEXT_LENGTH,
      idempotent: false,
      sandbox: false,
    },

    async send(message, signal) {
      const request = requestFor(message)
      if (!request) return NO_CALLS
      const result = await requestJson({ method: 'POST', headers, ...request }, signal)
      // It took the same before, and what became of that isn't known here.
      if (result.kind === 'answer' && telnyxError(result.json)?.code === '10012')
        return { outcome: 'unknown', detail: '10012' }
      return judge(result, message.channel === 'sms' ? textTaken : callTaken, telnyxRefusal)
    },

    async check(signal) {
      const url = `${baseUrl}/balance`
      return judgeBalance(await requestJson({ method: 'GET', url, headers }, signal))
    },

    ...(keys.length > 0 && {
      reports: {
        addressed: 'message',
        read: (callback) => readTelnyxCallback(callback, keys),
      },
    }),

    async poll(providerId, signal) {
      const url = `${baseUrl}/messages/${encodeURIComponent(providerId)}`
      const result = await requestJson({ method: 'GET', url, headers }, signal)
      if (result.kind !== 'answer' || result.status !== 200) return null
      const message = readTelnyxMessage(Enveloped.safeParse(result.json).data?.data)
      if (message?.providerId !== providerId) return null
      return { ...message, key: `${providerId}:${message.state}` }
    },
  }
}

const Enveloped = z.object({ data: z.unknown() })
const Taken = z.object({ data: z.object({ id: z.string() }) })

function textTaken({ json }: Answer): SendResult | undefined {
  const providerId = asProviderId(Taken.safeParse(json).data?.data.id)
  return providerId === null ? undefined : { outcome: 'accepted', providerId }
}

const Called = z.object({ from: z.string(), to: z.string(), status: z.string() })

/** Its answer to a call has no id. */
function callTaken({ json }: Answer): SendResult | undefined {
  return Called.safeParse(json).success ? { outcome: 'accepted', providerId: null } : undefined
}

const Balance = z.object({
  data: z.object({
    balance: z.string().regex(/^-?\d{1,12}(\.\d{1,6})?$/),
    currency: z.string().regex(/^[A-Z]{3}$/),
  }),
})

function judgeBalance(result: HttpResult): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status, json, fault } = result
  if (status === 401 || status === 403) return { ok: false, detail: 'the API key was refused' }
  if (status !== 200) return { ok: false, detail: `unexpected answer: http ${status}` }
  const read = Balance.safeParse(json)
  if (!read.success) return { ok: false, detail: `not a balance: ${fault ?? 'unrecognised'} body` }
  const { balance, currency } = read.data.data
  return { ok: true, detail: 'the API key works', credit: `${balance} ${currency}` }
}
