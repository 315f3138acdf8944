import { z } from 'zod'
import type { DeliveryReport, Gateway, GatewayCheck, OutgoingMessage } from '../gateway.ts'
import { measureText } from '../gsm7.ts'
import { type HttpResult, requestJson } from '../http.ts'
import { type Answer, asProviderId, byStatus, judge, NO_CALLS, type Refusal } from '../judge.ts'
import { type Consumer, oauth1Header } from '../oauth1.ts'
import { LONGEST_TEXT, outcomeOf } from './gatewayapi-outcomes.ts'
import { readTokenReport } from './gatewayapi-reports.ts'

export interface RestSettings {
  /** e.g. `https://gatewayapi.eu` */
  baseUrl: string
  token?: string | undefined
  /** in place of a token */
  consumer?: Consumer | undefined
  /** `secret` keeps texts out of its logs */
  messageClass: 'standard' | 'premium' | 'secret'
  /** that its webhook signs with; several during a change */
  webhookSecrets: readonly string[]
}

type TextMessage = Extract<OutgoingMessage, { channel: 'sms' }>

/** GatewayAPI's older API, which most accounts have. */
export function createRestApi(settings: RestSettings): Gateway {
  const { messageClass, webhookSecrets } = settings
  const base = `${settings.baseUrl.replace(/\/+$/, '')}/rest`
  const authorization = authorizer(settings)

  function request(method: 'GET' | 'POST', path: string, signal: AbortSignal, body?: unknown) {
    const url = `${base}${path}`
    const headers = { authorization: authorization(method, url) }
    return requestJson({ method, url, headers, body }, signal)
  }

  return {
    name: 'gatewayapi',
    can: {
      channels: ['sms'],
      voiceLanguages: [],
      senderKinds: ['name', 'number'],
      validity: { minSeconds: 60, maxSeconds: 86_400 },
      encoding: 'by-driver',
      maxTextLength: LONGEST_TEXT,
      idempotent: false,
      sandbox: false,
    },

    async send(message, signal) {
      if (message.channel === 'voice') return NO_CALLS
      const body = bodyOf(message, messageClass)
      return judge(await request('POST', '/mtsms', signal, body), readAccepted, readRefusal)
    },

    async check(signal) {
      return judgeAccount(await request('GET', '/me', signal))
    },

    async poll(providerId, signal) {
      const path = `/mtsms/${encodeURIComponent(providerId)}`
      return readPolled(await request('GET', path, signal), providerId)
    },

    ...(webhookSecrets.length > 0 && {
      reports: {
        // A message could name its own address, but only the account's webhook surely signs.
        addressed: 'account',
        read: (callback) => readTokenReport(callback, webhookSecrets),
      },
    }),
  }
}

function authorizer({
  token,
  consumer,
}: RestSettings): (method: 'GET' | 'POST', url: string) => string {
  if (token === undefined && consumer)
    return (method, url) => oauth1Header({ method, url, consumer })
  const basic = `Basic ${Buffer.from(`${token ?? ''}:`).toString('base64')}`
  return () => basic
}

function bodyOf(message: TextMessage, messageClass: RestSettings['messageClass']) {
  return {
    message: message.text,
    recipients: [{ msisdn: Number(message.to.slice(1)) }],
    ...(message.sender !== null && { sender: message.sender.replace('+', '') }),
    class: messageClass,
    // Letters that its default can't write would be lost.
    encoding: measureText(message.text).encoding === 'ucs-2' ? 'UCS2' : 'UTF8',
    validity_period: message.validitySeconds,
    userref: message.reference,
  }
}

const Accepted = z.object({ ids: z.array(z.union([z.number(), z.string().min(1)])).min(1) })

function readAccepted({ json }: Answer) {
  const { data } = Accepted.safeParse(json)
  return data && { outcome: 'accepted' as const, providerId: asProviderId(data.ids[0]) }
}

const CODES: ReadonlyArray<[codes: readonly string[], refusal: Omit<Refusal, 'detail'>]> = [
  [['0x0214', '0x0215'], { failure: 'recipient', fault: 'barred' }],
  // Countries and operators that this account doesn't reach.
  [['0x0217', '0x021f'], { failure: 'recipient', elsewhere: true }],
  [['0x0216'], { failure: 'quota' }],
  [['0x0220', '0x0221', '0x0222', '0x0310', '0x0311', '0x0312'], { failure: 'content' }],
  // The account has no such message class.
  [['0x0218'], { failure: 'config' }],
]

const Fault = z.object({ code: z.string().regex(/^0x[0-9a-f]{4}$/i) })

function readRefusal(answer: Answer): Refusal {
  const code = Fault.safeParse(answer.json).data?.code
  const known = code && CODES.find(([codes]) => codes.includes(code.toLowerCase()))?.[1]
  if (code && known) return { ...known, detail: code }
  return { ...byStatus(answer), ...(code && { detail: code }) }
}

const Account = z.object({ credit: z.number(), currency: z.string().regex(/^[A-Z]{3}$/) })

function judgeAccount(result: HttpResult): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status } = result
  if (status === 401 || status === 403) {
    return { ok: false, detail: `the token or key was refused: ${readRefusal(result).detail}` }
  }
  if (status !== 200) return { ok: false, detail: `unexpected answer: http ${status}` }
  const { data } = Account.safeParse(result.json)
  if (!data) return { ok: false, detail: 'the answer is not that of an account' }
  const credit = `${data.credit.toFixed(2)} ${data.currency}`
  return { ok: true, detail: 'the token or key works', credit }
}

const Recipient = z.object({
  dsnstatus: z.string(),
  dsnerrorcode: z.string().nullish().catch(undefined),
})

const Stored = z.object({ recipients: z.tuple([Recipient]) })

/** Its example has a list of one message, others have met the message alone. */
const Polled = z.union([z.tuple([Stored]).transform(([stored]) => stored), Stored])

function readPolled(result: HttpResult, providerId: string): DeliveryReport | null {
  if (result.kind !== 'answer' || result.status !== 200) return null
  const { data } = Polled.safeParse(result.json)
  if (!data) return null
  const { dsnstatus, dsnerrorcode } = data.recipients[0]
  const outcome = outcomeOf(dsnstatus, dsnerrorcode)
  return { providerId, ...outcome, key: `${providerId}:polled:${outcome.state}` }
}
