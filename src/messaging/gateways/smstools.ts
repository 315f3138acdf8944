import { z } from 'zod'
import type { FailureClass, Gateway, GatewayCheck, OutgoingMessage } from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'
import { type Answer, asProviderId, byStatus, judge, type Refusal } from '../judge.ts'
import { asPlainText } from '../speech.ts'
import { smstoolsReports } from './smstools-reports.ts'

export interface SmstoolsSettings {
  /** `https://api.smsgatewayapi.com/v1`, or the same under another name of theirs */
  baseUrl: string
  clientId: string
  clientSecret: string
  /** that its webhooks are signed with; several during a change */
  webhookSecrets: readonly string[]
  /** what the callback address ends in, for accounts whose webhooks aren't signed */
  webhookPath?: string | undefined
  /** that speaks */
  voice: 'Female' | 'Male'
}

/** smstools.com, which is smsgatewayapi.com too: texts, and calls in four languages. */
export function createSmstools(settings: SmstoolsSettings): Gateway {
  const { clientId, clientSecret, voice } = settings
  const base = settings.baseUrl.replace(/\/+$/, '')
  const headers = { 'x-client-id': clientId, 'x-client-secret': clientSecret }
  const reports = smstoolsReports(settings)

  return {
    name: 'smstools',
    can: {
      channels: ['sms', 'voice'],
      voiceLanguages: ['en', 'nl', 'fr', 'de'],
      senderKinds: ['name', 'number'],
      validity: null,
      encoding: 'by-gateway',
      maxTextLength: 612,
      idempotent: false,
      // It has a flag for it, but that is a field of the message, and no message of ours is a trial.
      sandbox: false,
    },

    async send(message, signal) {
      const url = `${base}/${message.channel === 'sms' ? 'message' : 'voice'}/send`
      const body = bodyOf(message, voice)
      const result = await requestJson({ method: 'POST', url, headers, body }, signal)
      return judge(result, readAccepted, readRefusal)
    },

    async check(signal) {
      return judgeAuth(await requestJson({ method: 'GET', url: `${base}/auth`, headers }, signal))
    },

    ...(reports && { reports }),
  }
}

function bodyOf(message: OutgoingMessage, voice: SmstoolsSettings['voice']) {
  const { to, sender, reference } = message
  const common = { to: to.slice(1), ...(sender !== null && { sender }), reference }
  if (message.channel === 'sms') return { ...common, message: message.text }
  const { speech } = message
  return { ...common, message: asPlainText(speech), language: speech.language, gender: voice }
}

const Accepted = z.object({ messageid: z.union([z.string().min(1), z.number()]) })

function readAccepted({ json }: Answer) {
  const { data } = Accepted.safeParse(json)
  return data && { outcome: 'accepted' as const, providerId: asProviderId(data.messageid) }
}

const CODES: ReadonlyArray<[failure: FailureClass, codes: readonly string[]]> = [
  ['recipient', ['103', '106', '131']],
  ['sender', ['109', '110', '111']],
  ['content', ['102', '112', '114', '118', '121', '139']],
  ['config', ['104', '116', '138', '200', '1002', '1403']],
  ['quota', ['108']],
  ['transient', ['105']],
]

const OPTED_OUT = '131'

const Fault = z.object({ error: z.union([z.string(), z.number()]).transform(String) })

function readRefusal(answer: Answer): Refusal | undefined {
  const error = Fault.safeParse(answer.json).data?.error ?? ''
  if (error === 'error parsing json') return { failure: 'content', detail: 'json-refused' }
  const known = CODES.find(([, codes]) => codes.includes(error))
  if (known) {
    const refusal = { failure: known[0], detail: error }
    return error === OPTED_OUT ? { ...refusal, fault: 'opted-out' } : refusal
  }
  // As long as its codes are, so that this can't be a number or a code that it echoes.
  return /^\d{3,4}$/.test(error) ? { ...byStatus(answer), detail: error } : undefined
}

function judgeAuth(result: HttpResult): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status } = result
  if (status === 200) return { ok: true, detail: 'the client id and secret work' }
  const refusal = status >= 400 && status < 500 ? readRefusal(result) : undefined
  if (status === 401 || refusal?.failure === 'config') {
    const code = refusal ? `: ${refusal.detail}` : ''
    return { ok: false, detail: `the client id and secret were refused${code}` }
  }
  return { ok: false, detail: `unexpected answer: http ${status}` }
}
