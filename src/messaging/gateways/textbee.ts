import { z } from 'zod'
import type { FailureClass, Gateway, SendResult } from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'

export interface TextbeeSettings {
  /** e.g. `https://api.textbee.dev/api/v1`, or that of one's own server */
  baseUrl: string
  apiKey: string
  deviceId: string
  /** which SIM sends, in a phone with two */
  simSubscriptionId?: number
}

/** textbee.dev: an Android phone sends by its own SIM. It knows no codes for errors, only sentences. */
export function createTextbee(settings: TextbeeSettings): Gateway {
  const { apiKey, deviceId, simSubscriptionId } = settings
  const devicesUrl = `${settings.baseUrl.replace(/\/+$/, '')}/gateway/devices`
  const headers = { 'x-api-key': apiKey }

  return {
    name: 'textbee',
    channels: ['sms'],

    async send({ to, text }, signal) {
      const url = `${devicesUrl}/${encodeURIComponent(deviceId)}/send-sms`
      const body = {
        recipients: [to],
        message: text,
        ...(simSubscriptionId === undefined ? {} : { simSubscriptionId }),
      }
      return judge(await requestJson({ method: 'POST', url, headers, body }, signal))
    },

    async check(signal) {
      const result = await requestJson({ method: 'GET', url: devicesUrl, headers }, signal)
      return judgeDevices(result, deviceId)
    },
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
    responses: z.unknown().optional(),
  }),
})

function judge(result: HttpResult): SendResult {
  switch (result.kind) {
    case 'misconfigured':
      return { outcome: 'refused', failure: 'config', detail: result.detail }
    case 'unreachable':
      return { outcome: 'refused', failure: 'transient', detail: result.detail }
    case 'lost':
      return { outcome: 'unknown', detail: result.detail }
    case 'answer':
      if (result.status >= 200 && result.status < 300) return judgeSuccess(result)
      return judgeRefusal(result.status, result.json)
  }
}

type Answer = Extract<HttpResult, { kind: 'answer' }>

function judgeSuccess({ status, json, fault }: Answer): SendResult {
  const queued = Queued.safeParse(json)
  if (queued.success) {
    return { outcome: 'accepted', providerId: asBatchId(queued.data.data.smsBatchId) }
  }
  const pushed = Pushed.safeParse(json)
  if (!pushed.success) {
    return { outcome: 'unknown', detail: `http ${status}, ${fault ?? 'unrecognised'} body` }
  }
  const { successCount, failureCount } = pushed.data.data
  if (failureCount > 0) {
    return { outcome: 'refused', failure: 'transient', detail: 'push-failed', httpStatus: status }
  }
  if (successCount < 1) return { outcome: 'unknown', detail: `http ${status}, nothing counted` }
  return { outcome: 'accepted', providerId: null }
}

function asBatchId(value: unknown): string | null {
  return typeof value === 'string' && /^[\w-]{1,64}$/.test(value) ? value : null
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

function judgeRefusal(status: number, json: unknown): SendResult {
  // A proxy gave up waiting for the server, which may have taken the message all the same.
  if (status === 504) return { outcome: 'unknown', detail: 'http 504' }
  const [failure, detail] = classify(status, Fault.safeParse(json).data)
  return { outcome: 'refused', failure, detail, httpStatus: status }
}

function classify(
  status: number,
  fault: z.infer<typeof Fault> | undefined,
): [FailureClass, string] {
  if (status === 401) return ['config', 'unauthorized']
  if (status === 429) {
    // Waiting some seconds helps against the one, not against the other.
    return fault?.hasReachedLimit === true ? ['quota', 'plan-limit'] : ['throttle', 'too-many']
  }
  if (status === 400 || status === 500) {
    const sentence = fault?.error ?? fault?.message ?? ''
    const known = SENTENCES.find(([start]) => sentence.startsWith(start))
    if (known) return [known[1], known[2]]
  }
  if (status >= 500 || status === 408) return ['transient', `http ${status}`]
  // Redirects and unheard-of 4xx: most likely the base URL or something before the server is wrong.
  return ['config', `http ${status}`]
}

const Devices = z.object({ data: z.array(z.looseObject({ _id: z.string() })) })

function judgeDevices(result: HttpResult, deviceId: string): { ok: boolean; detail: string } {
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
