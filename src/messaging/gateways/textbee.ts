import { z } from 'zod'
import type { DeliveryReport, FailureClass, Gateway, GatewayCheck, SendResult } from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'
import { type Answer, asProviderId, byStatus, judge, NO_CALLS, type Refusal } from '../judge.ts'
import { outcomeOf, readTextbeeReport } from './textbee-reports.ts'

export interface TextbeeSettings {
  /** e.g. `https://api.textbee.dev/api/v1`, or that of one's own server */
  baseUrl: string
  apiKey: string
  deviceId: string
  /** which SIM sends, in a phone with two */
  simSubscriptionId?: number | undefined
  /** that its webhook signs with; several during a change */
  webhookSecrets: readonly string[]
}

/** textbee.dev: an Android phone sends by its own SIM. It knows no codes for errors, only sentences. */
export function createTextbee(settings: TextbeeSettings): Gateway {
  const { apiKey, deviceId, simSubscriptionId, webhookSecrets } = settings
  const devicesUrl = `${settings.baseUrl.replace(/\/+$/, '')}/gateway/devices`
  const deviceUrl = `${devicesUrl}/${encodeURIComponent(deviceId)}`
  const headers = { 'x-api-key': apiKey }

  return {
    name: 'textbee',
    can: {
      channels: ['sms'],
      voiceLanguages: [],
      senderKinds: ['chosen-there'],
      validity: null,
      encoding: 'by-gateway',
      // The phone splits it, into at most 255 parts, of 67 letters where they aren't GSM-7.
      maxTextLength: 255 * 67,
      idempotent: false,
      sandbox: false,
    },

    async send(message, signal) {
      if (message.channel === 'voice') return NO_CALLS
      const url = `${deviceUrl}/send-sms`
      const body = {
        recipients: [message.to],
        message: message.text,
        ...(simSubscriptionId === undefined ? {} : { simSubscriptionId }),
      }
      const result = await requestJson({ method: 'POST', url, headers, body }, signal)
      return judge(result, readAccepted, readRefusal)
    },

    async check(signal) {
      const result = await requestJson({ method: 'GET', url: devicesUrl, headers }, signal)
      return judgeDevices(result, deviceId)
    },

    async poll(providerId, signal) {
      const url = `${deviceUrl}/sms-batch/${encodeURIComponent(providerId)}`
      return readPolled(await requestJson({ method: 'GET', url, headers }, signal), providerId)
    },

    ...(webhookSecrets.length > 0 && {
      reports: {
        addressed: 'account',
        read: (callback) => readTextbeeReport(callback, webhookSecrets),
      },
    }),
  }
}

/** Server run with a queue: the id names the batch, which is of one message here. */
const Queued = z.object({
  data: z.object({ success: z.literal(true), smsBatchId: z.unknown().optional() }),
})

/** Server run without: the push service's answer, which has no id that textbee would know again. */
const Pushed = z.object({
  data: z.object({
    successCount: z.number(),
    failureCount: z.number(),
  }),
})

function readAccepted({ status, json }: Answer): SendResult | undefined {
  const queued = Queued.safeParse(json)
  if (queued.success) {
    return { outcome: 'accepted', providerId: asProviderId(queued.data.data.smsBatchId) }
  }
  const pushed = Pushed.safeParse(json)
  if (!pushed.success) return undefined
  const { successCount, failureCount } = pushed.data.data
  if (failureCount > 0) {
    return { outcome: 'refused', failure: 'transient', detail: 'push-failed', httpStatus: status }
  }
  if (successCount < 1) return { outcome: 'unknown', detail: `http ${status}, nothing counted` }
  return { outcome: 'accepted', providerId: null }
}

/** Its sentences, by their beginning; what we log is ours, since an answer may echo the message. */
const SENTENCES: ReadonlyArray<[start: string, failure: FailureClass, detail: string]> = [
  ['Invalid device id', 'config', 'invalid-device-id'],
  ['Device does not exist or is not enabled', 'config', 'device-missing-or-disabled'],
  ['Please verify your email', 'config', 'email-unverified'],
  ['Message cannot be blank', 'content', 'message-blank'],
  ['Invalid recipients', 'recipient', 'invalid-recipients'],
  ['scheduledAt must be', 'content', 'invalid-schedule'],
  ['Invalid scheduledAt', 'content', 'invalid-schedule'],
  ['SMS scheduling requires', 'content', 'invalid-schedule'],
  ['Failed to create SMS batch', 'transient', 'batch-failed'],
  ['Failed to send SMS', 'transient', 'send-failed'],
  ['Failed to add SMS to queue', 'transient', 'queue-failed'],
  // A banned account, although it comes as a 500.
  ['Sorry, we cannot process your request', 'config', 'account-banned'],
]

const Fault = z.object({
  error: z.string().optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  hasReachedLimit: z.unknown().optional(),
})

function readRefusal(answer: Answer): Refusal | undefined {
  const { status, json } = answer
  const fault = Fault.safeParse(json).data
  if (status === 401) return { failure: 'config', detail: 'unauthorized' }
  if (status === 429) {
    // Waiting some seconds helps against the one, not against the other.
    if (fault?.hasReachedLimit === true) return { failure: 'quota', detail: 'plan-limit' }
    return { ...byStatus(answer), detail: 'too-many' }
  }
  if (status !== 400 && status !== 500) return undefined
  const sentence = fault?.error ?? fault?.message ?? ''
  const known = SENTENCES.find(([start]) => sentence.startsWith(start))
  return known && { failure: known[1], detail: known[2] }
}

const Devices = z.object({ data: z.array(z.looseObject({ _id: z.string() })) })

function judgeDevices(result: HttpResult, deviceId: string): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status, json, fault } = result
  if (status === 401) return { ok: false, detail: 'the API key was refused' }
  if (status !== 200) return { ok: false, detail: `unexpected answer: http ${status}` }
  const devices = Devices.safeParse(json)
  if (!devices.success) {
    return { ok: false, detail: `not a list of devices: ${fault ?? 'unrecognised'} body` }
  }
  const device = devices.data.data.find(({ _id }) => _id === deviceId)
  if (!device)
    return { ok: false, detail: 'the key works, but the device is not among its devices' }
  if (device.enabled === false)
    return { ok: false, detail: 'the device is switched off in textbee' }
  return { ok: true, detail: 'the key works and the device is listed' }
}

const Batch = z.object({
  data: z.object({
    messages: z.tuple([z.object({ status: z.string(), errorCode: z.string().nullish() })]),
  }),
})

function readPolled(result: HttpResult, providerId: string): DeliveryReport | null {
  if (result.kind !== 'answer' || result.status !== 200) return null
  const { data } = Batch.safeParse(result.json)
  if (!data) return null
  const { status, errorCode } = data.data.messages[0]
  const outcome = outcomeOf(status, errorCode)
  return { providerId, ...outcome, key: `${providerId}:polled:${outcome.state}` }
}
