import { z } from 'zod'
import type { CodeVerdict, Gateway, GatewayCheck, SendResult } from '../gateway.ts'
import { type HttpResult, requestJson } from '../http.ts'
import { type Answer, asProviderId, judge } from '../judge.ts'
import { telnyxRefusal } from './telnyx-errors.ts'
import { readTelnyxVerification, telnyxKeys } from './telnyx-reports.ts'

export interface TelnyxVerifySettings {
  /** e.g. `https://api.telnyx.com/v2` */
  baseUrl: string
  apiKey: string
  /** its settings at Telnyx say how long a code is, in which words it comes and in what language */
  verifyProfileId: string
  /** which its reports are signed with; without one they aren't taken */
  publicKeys: readonly string[]
}

/** Telnyx Verify: makes the code, sends it and judges it. */
export function createTelnyxVerify(settings: TelnyxVerifySettings): Gateway {
  const { apiKey, verifyProfileId } = settings
  const baseUrl = settings.baseUrl.replace(/\/+$/, '')
  const headers = { authorization: `Bearer ${apiKey}` }
  const keys = telnyxKeys(settings.publicKeys)
  const urlOf = (providerId: string) => `${baseUrl}/verifications/${encodeURIComponent(providerId)}`

  /** Its answer to a code says no more than yes or no; why it's no, the verification's state tells. */
  async function whyNot(providerId: string, signal: AbortSignal): Promise<CodeVerdict> {
    const result = await requestJson({ method: 'GET', url: urlOf(providerId), headers }, signal)
    if (result.kind !== 'answer') return 'unavailable'
    if (result.status === 404) return 'gone'
    if (result.status !== 200) return 'unavailable'
    const state = Verification.safeParse(result.json).data?.data.status
    return VERDICTS.get(state ?? '') ?? 'unavailable'
  }

  return {
    name: 'telnyx-verify',
    can: {
      channels: ['sms', 'voice'],
      // Whatever its profile is set to; what we would say isn't said.
      voiceLanguages: ['en'],
      senderKinds: ['chosen-there'],
      validity: { minSeconds: 30, maxSeconds: 600 },
      encoding: 'by-gateway',
      maxTextLength: null,
      idempotent: false,
      sandbox: false,
    },

    async send({ channel, to, validitySeconds, codeLength }, signal) {
      // It can say nothing but codes.
      if (codeLength === null)
        return { outcome: 'refused', failure: 'content', detail: 'carries-codes-only' }
      const url = `${baseUrl}/verifications/${channel === 'sms' ? 'sms' : 'call'}`
      const body = {
        phone_number: to,
        verify_profile_id: verifyProfileId,
        timeout_secs: validitySeconds,
      }
      const result = await requestJson({ method: 'POST', url, headers, body }, signal)
      return judge(result, started, telnyxRefusal)
    },

    async check(signal) {
      const url = `${baseUrl}/verify_profiles/${encodeURIComponent(verifyProfileId)}`
      const result = await requestJson({ method: 'GET', url, headers }, signal)
      return judgeProfile(result, verifyProfileId)
    },

    ...(keys.length > 0 && {
      reports: {
        addressed: 'account',
        read: (callback) => readTelnyxVerification(callback, keys),
      },
    }),

    async judge(providerId, code, signal) {
      const url = `${urlOf(providerId)}/actions/verify`
      const body = { code }
      const result = await requestJson({ method: 'POST', url, headers, body }, signal)
      if (result.kind !== 'answer') return 'unavailable'
      if (result.status === 404) return 'gone'
      if (result.status === 200) {
        const word = Judged.safeParse(result.json).data?.data.response_code
        if (word === 'accepted') return 'right'
        return word === 'rejected' ? whyNot(providerId, signal) : 'unavailable'
      }
      // Some say no by an error; others say nothing of the code.
      return [400, 422].includes(result.status) ? whyNot(providerId, signal) : 'unavailable'
    },
  }
}

/** Of a verification that just said no. One that was accepted before has been used. */
const VERDICTS: ReadonlyMap<string, CodeVerdict> = new Map([
  ['pending', 'wrong'],
  ['invalid', 'wrong'],
  ['accepted', 'gone'],
  ['expired', 'gone'],
])

const Judged = z.object({ data: z.object({ response_code: z.string() }) })
const Verification = z.object({ data: z.object({ id: z.string(), status: z.string() }) })

/** Without its id no code could ever be judged. */
function started({ json }: Answer): SendResult | undefined {
  const { id, status } = Verification.safeParse(json).data?.data ?? {}
  const providerId = asProviderId(id)
  return providerId === null || status !== 'pending'
    ? undefined
    : { outcome: 'accepted', providerId }
}

const Profile = z.object({ data: z.object({ id: z.string() }) })

function judgeProfile(result: HttpResult, verifyProfileId: string): GatewayCheck {
  if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
  const { status, json, fault } = result
  if (status === 401 || status === 403) return { ok: false, detail: 'the API key was refused' }
  if (status === 404) return { ok: false, detail: 'the Verify profile is unknown there' }
  if (status !== 200) return { ok: false, detail: `unexpected answer: http ${status}` }
  if (Profile.safeParse(json).data?.data.id !== verifyProfileId)
    return { ok: false, detail: `not the Verify profile: ${fault ?? 'unrecognised'} body` }
  return { ok: true, detail: 'the API key works and the Verify profile is there' }
}
