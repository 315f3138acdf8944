import { z } from 'zod'
import type { FailureClass, Gateway, GatewayCheck } from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'
import { type Answer, asProviderId, judge, NO_CALLS, type Refusal } from '../judge.ts'
import { LONGEST_TEXT } from './gatewayapi-outcomes.ts'
import { readEventReport } from './gatewayapi-reports.ts'

interface MessagingSettings {
  /** e.g. `https://messaging.gatewayapi.eu` */
  baseUrl: string
  token: string
  webhookSecrets: readonly string[]
}

/** GatewayAPI's newer API. It sees to encoding and privacy itself, and can't be asked about a message. */
export function createMessagingApi(settings: MessagingSettings): Gateway {
  const { token, webhookSecrets } = settings
  const url = `${settings.baseUrl.replace(/\/+$/, '')}/mobile/single`
  const headers = { authorization: `Token ${token}` }

  return {
    name: 'gatewayapi',
    can: {
      channels: ['sms'],
      voiceLanguages: [],
      senderKinds: ['name', 'number'],
      validity: { minSeconds: 60, maxSeconds: 86_400 },
      encoding: 'by-gateway',
      maxTextLength: LONGEST_TEXT,
      idempotent: false,
      sandbox: false,
    },

    async send(message, signal) {
      if (message.channel === 'voice') return NO_CALLS
      const { to, sender, validitySeconds, reference } = message
      const body = {
        ...(sender !== null && { sender: sender.replace('+', '') }),
        recipient: Number(to.slice(1)),
        message: message.text,
        reference,
        expiration: `PT${validitySeconds}S`,
      }
      const result = await requestJson({ method: 'POST', url, headers, body }, signal)
      return judge(result, readAccepted, readRefusal)
    },

    async check(signal) {
      // Nothing can be asked for, but a message that lacks everything is refused only after the token was taken.
      return judgeToken(await requestJson({ method: 'POST', url, headers, body: {} }, signal))
    },

    ...(webhookSecrets.length > 0 && {
      reports: {
        addressed: 'account',
        read: (callback) => readEventReport(callback, webhookSecrets),
      },
    }),
  }
}

const Accepted = z.object({ msg_id: z.string().min(1) })

function readAccepted({ json }: Answer) {
  const { data } = Accepted.safeParse(json)
  return data && { outcome: 'accepted' as const, providerId: asProviderId(data.msg_id) }
}

/** What is wrong, by the field that is named. Where another is, or none, our request is at fault. */
const FIELDS: ReadonlyMap<string, FailureClass> = new Map([
  ['recipient', 'recipient'],
  ['sender', 'sender'],
])

const Invalid = z.object({
  detail: z.array(z.object({ loc: z.array(z.union([z.string(), z.number()])) })),
})

function readRefusal({ status, json }: Answer): Refusal | undefined {
  if (status !== 422) return undefined
  const named = Invalid.safeParse(json).data?.detail.map(({ loc }) => String(loc[1])) ?? []
  const known = named.find((field) => FIELDS.has(field))
  // A recipient counts for nothing where the rest of the request is wrong too.
  if (known === undefined || named.some((field) => field !== known)) {
    return { failure: 'content', detail: 'invalid-request' }
  }
  return { failure: FIELDS.get(known) ?? 'content', detail: `invalid-${known}` }
}

function judgeToken(result: HttpResult): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status } = result
  if (status === 422) return { ok: true, detail: 'the token works' }
  if (status === 401 || status === 403) return { ok: false, detail: 'the token was refused' }
  return { ok: false, detail: `unexpected answer: http ${status}` }
}
