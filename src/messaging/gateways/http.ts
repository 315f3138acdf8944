import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Gateway, GatewayCheck, SendResult } from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'
import { type Answer, asProviderId, judge, NO_CALLS, type Refusal } from '../judge.ts'
import { signStandardWebhook } from '../standard-webhooks.ts'
import { Failure, Fault, readHttpReport } from './http-reports.ts'

export interface HttpSettings {
  /** which gets each message as it stands, path and all */
  url: string
  /** of Standard Webhooks: the first signs what we send, any of them verifies what comes */
  secrets: readonly string[]
}

/** A receiver of one's own: it gets each message as signed JSON, and sends it by whatever it likes. */
export function createHttp({ url, secrets }: HttpSettings): Gateway {
  const [secret = ''] = secrets

  /** @param id the same for the same message, by which the receiver knows it again */
  function post(id: string, message: object, signal: AbortSignal): Promise<HttpResult> {
    const body = JSON.stringify(message)
    const timestamp = Math.floor(Date.now() / 1000)
    const headers = {
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signStandardWebhook(secret, { id, timestamp, body }),
    }
    return requestJson({ method: 'POST', url, headers, body }, signal)
  }

  return {
    name: 'http',
    can: {
      channels: ['sms'],
      voiceLanguages: [],
      senderKinds: ['name', 'number', 'chosen-there'],
      validity: { minSeconds: 1, maxSeconds: 604_800 },
      encoding: 'by-gateway',
      maxTextLength: 1600,
      idempotent: true,
      sandbox: false,
    },

    async send(message, signal) {
      if (message.channel === 'voice') return NO_CALLS
      const { channel, reference, to, text, sender, validitySeconds } = message
      const told = { to, text, reference, sender, channel, validity_seconds: validitySeconds }
      return judge(await post(reference, told, signal), readAccepted, readRefusal)
    },

    async check(signal) {
      return judgeCheck(await post(`check-${randomUUID()}`, { check: true }, signal))
    },

    reports: { addressed: 'account', read: (callback) => readHttpReport(callback, secrets) },
  }
}

/** One that says `error` here contradicts itself. */
const Accepted = z.object({ id: z.unknown().optional(), error: z.undefined().optional() })

function readAccepted({ status, json }: Answer): SendResult | undefined {
  if (status === 204) return { outcome: 'accepted', providerId: null }
  const { data } = Accepted.safeParse(json)
  return data && { outcome: 'accepted', providerId: asProviderId(data.id) }
}

const Refused = z.object({ error: Failure, fault: Fault.optional().catch(undefined) })

function readRefusal(answer: Answer): Refusal | undefined {
  const { data } = Refused.safeParse(answer.json)
  if (!data) return undefined
  const { error: failure, fault } = data
  const { status, retryAfterMs } = answer
  return {
    failure,
    detail: `http ${status}`,
    ...(failure === 'recipient' && fault && { fault }),
    ...(failure === 'throttle' && retryAfterMs !== undefined && { retryAfterMs }),
  }
}

function judgeCheck(result: HttpResult): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status } = result
  if (status >= 200 && status < 300)
    return { ok: true, detail: 'the receiver took a signed request without a message' }
  if (status === 401 || status === 403)
    return { ok: false, detail: 'the receiver refused the signature' }
  return { ok: false, detail: `unexpected answer: http ${status}` }
}
