import { z } from 'zod'
import type {
  CallbackVerdict,
  DeliveryReport,
  DeliveryState,
  FailureClass,
  Gateway,
  GatewayCheck,
  RecipientFault,
  SendResult,
} from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'
import {
  type Answer,
  asCode,
  asProviderId,
  asReference,
  judge,
  NO_CALLS,
  type Refusal,
  stateIn,
} from '../judge.ts'
import { jsonOf } from '../report-body.ts'
import { verifyStandardWebhook } from '../standard-webhooks.ts'

export interface BirdSettings {
  /** that of the key's region, e.g. `https://eu1.platform.bird.com` */
  baseUrl: string
  apiKey: string
  /** of its webhook; several while one takes over from another */
  webhookSecrets: readonly string[]
}

/** A message that there can't be. */
const NOBODY = `sms_${'0'.repeat(26)}`

/** Bird's platform of 2026: texts only. */
export function createBird({ baseUrl, apiKey, webhookSecrets }: BirdSettings): Gateway {
  const url = `${baseUrl.replace(/\/+$/, '')}/v1/sms/messages`
  const authorization = `Bearer ${apiKey}`
  const read = (id: string, signal: AbortSignal) =>
    requestJson(
      { method: 'GET', url: `${url}/${encodeURIComponent(id)}`, headers: { authorization } },
      signal,
    )

  return {
    name: 'bird',
    can: {
      channels: ['sms'],
      voiceLanguages: [],
      senderKinds: ['name', 'number'],
      // Its documentation has a field for it, its API refuses that field.
      validity: null,
      encoding: 'by-gateway',
      // Twelve parts of UCS-2.
      maxTextLength: 804,
      idempotent: true,
      sandbox: false,
    },

    async send(message, signal) {
      if (message.channel === 'voice') return NO_CALLS
      const { to, sender, reference, codeLength } = message
      if (sender === null) return { outcome: 'refused', failure: 'sender', detail: 'no-sender' }
      const headers = { authorization, 'idempotency-key': reference }
      const body = {
        to,
        from: sender,
        text: message.text,
        // What is for authentication isn't kept there.
        category: codeLength === null ? 'transactional' : 'authentication',
        metadata: { reference },
      }
      const result = await requestJson({ method: 'POST', url, headers, body }, signal)
      // The same message is on its way by an earlier request, of which nothing is known yet.
      if (errorOf(result)?.code === STILL_RUNNING)
        return { outcome: 'unknown', detail: STILL_RUNNING }
      return judge(result, accepted, refusal)
    },

    async check(signal) {
      return checkOf(await read(NOBODY, signal))
    },

    ...(webhookSecrets.length > 0 && {
      reports: {
        addressed: 'account',
        read(callback) {
          const verdict = verifyStandardWebhook(webhookSecrets, callback)
          return 'refused' in verdict ? verdict : readEvent(callback.body, verdict.id)
        },
      },
    }),

    async poll(providerId, signal) {
      const result = await read(providerId, signal)
      if (result.kind !== 'answer' || result.status !== 200) return null
      const message = Message.safeParse(result.json).data
      if (!message) return null
      const { status, last_error } = message
      return reportOf(status, last_error, { providerId, key: `${providerId}:${asCode(status)}` })
    },
  }
}

const Failure = z.object({ code: z.string(), carrier_error_code: z.string().nullish() }).nullish()

const Message = z.object({ id: z.string(), status: z.string(), last_error: Failure })

function accepted({ status, json }: Answer): SendResult | undefined {
  const message = Message.safeParse(json).data
  if (!message) return undefined
  if (message.status === 'rejected' || message.status === 'failed') {
    const { failure = 'transient', ...more } = reasonOf(message.last_error)
    const detail = message.status
    return { outcome: 'refused', failure, detail, httpStatus: status, ...more }
  }
  return { outcome: 'accepted', providerId: asProviderId(message.id) }
}

type Reason = { failure?: FailureClass; fault?: RecipientFault }

const REASONS = new Map<string, Reason>([
  ['invalid_destination', { failure: 'recipient' }],
  ['unreachable', { failure: 'recipient' }],
  ['blocked_by_carrier', { failure: 'recipient' }],
  ['blocked_by_recipient', { failure: 'recipient', fault: 'barred' }],
  ['landline_unreachable', { failure: 'recipient', fault: 'landline' }],
  ['recipient_opted_out', { failure: 'recipient', fault: 'opted-out' }],
  ['sender_unregistered', { failure: 'sender' }],
  ['content_rejected', { failure: 'content' }],
  ['provider_unavailable', { failure: 'transient' }],
  ['insufficient_balance', { failure: 'quota' }],
])

function reasonOf(error: z.infer<typeof Failure>): Reason {
  return REASONS.get(error?.code ?? '') ?? {}
}

const STILL_RUNNING = 'E01004'

const Fault = z.object({
  error: z.object({
    code: z.string().regex(/^E\d{5}$/),
    name: z.string().optional(),
    param: z.string().optional(),
  }),
})

function errorOf(result: HttpResult): z.infer<typeof Fault>['error'] | undefined {
  return result.kind === 'answer' ? Fault.safeParse(result.json).data?.error : undefined
}

/** Of its numbered codes only two are known to mean one thing; the rest goes by status and field. */
function refusal(answer: Answer): Refusal | undefined {
  const error = errorOf(answer)
  const detail = error?.code ?? `http ${answer.status}`
  switch (answer.status) {
    case 401:
    case 403:
    case 404:
    // A key of another region.
    case 421:
      return { failure: 'config', detail }
    case 402:
      return { failure: 'quota', detail }
    case 409:
      return { failure: error?.code === 'E01005' ? 'content' : 'transient', detail }
    case 400:
    case 422:
      return error && { failure: fieldFailure(error), detail }
    default:
      return undefined
  }
}

function fieldFailure({ name, param }: z.infer<typeof Fault>['error']): FailureClass {
  if (name === 'SMSInvalidRecipient' || param === 'to') return 'recipient'
  if (name === 'SMSNoEligibleSender' || param === 'from') return 'sender'
  return name === 'SMSUnsupportedFeature' ? 'config' : 'content'
}

function checkOf(result: HttpResult): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status } = result
  if (status === 404 && errorOf(result)) return { ok: true, detail: 'the API key works' }
  if (status === 401) return { ok: false, detail: 'the API key was refused' }
  if (status === 403) return { ok: false, detail: 'the API key may not read messages' }
  return { ok: false, detail: `unexpected answer: http ${status}` }
}

const STATES = new Map<string, DeliveryState>([
  ['scheduled', 'accepted'],
  ['accepted', 'accepted'],
  ['sent', 'sent'],
  ['delivered', 'delivered'],
  // It may still recover: `delivered` outranks it.
  ['undelivered', 'failed'],
  ['failed', 'failed'],
  ['canceled', 'failed'],
  ['rejected', 'rejected'],
  ['expired', 'expired'],
])

function reportOf(
  status: string,
  error: z.infer<typeof Failure>,
  which: Pick<DeliveryReport, 'providerId' | 'reference' | 'key'>,
): DeliveryReport {
  return {
    ...which,
    ...stateIn(STATES, status),
    ...(status === 'undelivered' ? passing(reasonOf(error)) : reasonOf(error)),
    ...(error && { code: asCode(error.code) }),
  }
}

/** Of what may recover: where nothing lasting is said of the number, another gateway may well reach it. */
function passing(reason: Reason): Reason {
  return reason.failure === 'recipient' && !reason.fault ? { failure: 'transient' } : reason
}

const Event = z.object({ type: z.string() })

const SmsEvent = z.object({
  data: z.object({
    sms_id: z.string(),
    metadata: z.object({ reference: z.unknown().optional() }).nullish().catch(null),
    error: Failure,
  }),
})

function readEvent(body: Buffer, key: string): CallbackVerdict {
  const json = jsonOf(body)
  const { type } = Event.safeParse(json).data ?? {}
  if (type === undefined) return { refused: 'malformed' }
  const [, status] = /^sms\.(.+)$/.exec(type) ?? []
  // Texts to us, and whatever else the webhook was told to send.
  if (status === undefined || status === 'received') return { reports: [] }
  const event = SmsEvent.safeParse(json).data
  const providerId = asProviderId(event?.data.sms_id)
  if (!event || providerId === null) return { refused: 'malformed' }
  const { metadata, error } = event.data
  const which = { providerId, key, ...asReference(metadata?.reference) }
  return { reports: [reportOf(status, error, which)] }
}
