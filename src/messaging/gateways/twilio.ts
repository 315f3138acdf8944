import { z } from 'zod'
import type { Gateway, GatewayCheck, OutgoingMessage, SendResult } from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'
import { type Answer, asProviderId, byStatus, judge, type Refusal } from '../judge.ts'
import { asAliceSays, CALL_SECONDS, LOCALES, RING_SECONDS } from './twilio-calls.ts'
import { readTwilioCallback, twilioReport } from './twilio-reports.ts'

export interface TwilioSettings {
  /** e.g. `https://api.twilio.com` */
  baseUrl: string
  accountSid: string
  /** The first one sends; callbacks may be signed by any. */
  authTokens: readonly string[]
  /** sends in place of the token */
  apiKey?: { sid: string; secret: string } | undefined
  /** chooses who texts come from */
  messagingServiceSid?: string | undefined
  /** whether Twilio keeps the text, code included */
  contentRetention: 'discard' | 'retain'
}

const VOICES = { ...LOCALES, zh: 'zh-CN' }

export function createTwilio(settings: TwilioSettings): Gateway {
  const { accountSid, authTokens, apiKey, messagingServiceSid, contentRetention } = settings
  const account = encodeURIComponent(accountSid)
  const accountUrl = `${settings.baseUrl.replace(/\/+$/, '')}/2010-04-01/Accounts/${account}`
  const [token = ''] = authTokens
  const { sid, secret } = apiKey ?? { sid: accountSid, secret: token }
  const credentials = Buffer.from(`${sid}:${secret}`).toString('base64')
  const headers = { authorization: `Basic ${credentials}` }

  function requestFor(message: OutgoingMessage): { url: string; form: Record<string, string> } {
    const { to, sender, reportUrl, validitySeconds } = message
    const common = {
      To: to,
      ...(sender !== null && { From: sender }),
      ...(reportUrl !== null && { StatusCallback: reportUrl }),
    }
    if (message.channel === 'voice') {
      const form = {
        ...common,
        Twiml: asAliceSays(message.speech, VOICES),
        Timeout: String(RING_SECONDS),
        TimeLimit: String(CALL_SECONDS),
      }
      return { url: `${accountUrl}/Calls.json`, form }
    }
    const { From, ...others } = common
    const form = {
      ...others,
      ...(messagingServiceSid !== undefined
        ? { MessagingServiceSid: messagingServiceSid }
        : From !== undefined && { From }),
      Body: message.text,
      ValidityPeriod: String(validitySeconds),
      ContentRetention: contentRetention,
    }
    return { url: `${accountUrl}/Messages.json`, form }
  }

  return {
    name: 'twilio',
    can: {
      channels: ['sms', 'voice'],
      voiceLanguages: Object.keys(VOICES),
      // Calls need a number even where a messaging service chooses for texts.
      senderKinds:
        messagingServiceSid === undefined ? ['name', 'number'] : ['number', 'chosen-there'],
      validity: { minSeconds: 1, maxSeconds: 36_000 },
      encoding: 'by-gateway',
      maxTextLength: 1600,
      idempotent: false,
      sandbox: true,
    },

    async send(message, signal) {
      const request = { method: 'POST', headers, ...requestFor(message) } as const
      return judge(await requestJson(request, signal), taken, refused)
    },

    async check(signal) {
      const url = `${accountUrl}/Balance.json`
      return judgeBalance(await requestJson({ method: 'GET', url, headers }, signal))
    },

    reports: {
      addressed: 'message',
      read: (callback) => readTwilioCallback(callback, authTokens),
    },

    async poll(providerId, signal) {
      const kind = providerId.startsWith('CA') ? 'Calls' : 'Messages'
      const url = `${accountUrl}/${kind}/${encodeURIComponent(providerId)}.json`
      const result = await requestJson({ method: 'GET', url, headers }, signal)
      if (result.kind !== 'answer' || result.status !== 200) return null
      const read = Resource.safeParse(result.json)
      if (read.data?.sid !== providerId) return null
      return twilioReport(read.data.sid, read.data.status, read.data.error_code)
    },
  }
}

const Resource = z.object({
  sid: z.string(),
  status: z.string(),
  error_code: z.unknown().optional(),
})

function taken({ json }: Answer): SendResult | undefined {
  const providerId = asProviderId(Resource.safeParse(json).data?.sid)
  return providerId === null ? undefined : { outcome: 'accepted', providerId }
}

const REFUSALS: ReadonlyMap<number, Omit<Refusal, 'detail' | 'retryAfterMs'>> = new Map([
  [20003, { failure: 'config' }],
  [20429, { failure: 'throttle' }],
  [21210, { failure: 'sender' }],
  [21211, { failure: 'recipient' }],
  [21212, { failure: 'sender' }],
  // Texts to the country aren't switched on; 21215 is the same of calls.
  [21408, { failure: 'recipient', elsewhere: true }],
  [21215, { failure: 'recipient', elsewhere: true }],
  [21606, { failure: 'sender' }],
  [21608, { failure: 'config' }],
  [21610, { failure: 'recipient', fault: 'opted-out' }],
  [21611, { failure: 'throttle' }],
  [21612, { failure: 'recipient', elsewhere: true }],
  [21614, { failure: 'recipient', fault: 'landline' }],
  [21617, { failure: 'content' }],
  [21659, { failure: 'sender' }],
])

const Fault = z.object({ code: z.int() })

function refused(answer: Answer): Refusal | undefined {
  const code = Fault.safeParse(answer.json).data?.code
  if (code === undefined) return undefined
  const { retryAfterMs } = answer
  const reason = REFUSALS.get(code) ?? byStatus(answer)
  return {
    ...reason,
    detail: String(code),
    ...(reason.failure === 'throttle' && retryAfterMs !== undefined && { retryAfterMs }),
  }
}

const Balance = z.object({
  balance: z.string().regex(/^-?\d{1,12}(\.\d{1,6})?$/),
  currency: z.string().regex(/^[A-Z]{3}$/),
})

function judgeBalance(result: HttpResult): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status, json, fault } = result
  if (status === 401 || status === 403) return { ok: false, detail: 'the credentials were refused' }
  if (status === 404) return { ok: false, detail: 'the account is unknown there' }
  if (status !== 200) return { ok: false, detail: `unexpected answer: http ${status}` }
  const read = Balance.safeParse(json)
  if (!read.success) return { ok: false, detail: `not a balance: ${fault ?? 'unrecognised'} body` }
  const { balance, currency } = read.data
  return { ok: true, detail: 'the credentials work', credit: `${balance} ${currency}` }
}
