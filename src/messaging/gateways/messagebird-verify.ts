import { z } from 'zod'
import type { CodeVerdict, Gateway, OutgoingMessage, SendResult } from '../gateway.ts'
import type { HttpResult } from '../http.ts'
import { type Answer, asProviderId, judge } from '../judge.ts'
import {
  apiErrorOf,
  asDigits,
  createMessagebirdApi,
  type MessagebirdAccess,
  messagebirdRefusal,
} from './messagebird-api.ts'

export type MessagebirdVerifySettings = MessagebirdAccess

/** MessageBird's Verify: it makes the code, sends it by text or call, and judges what was typed. */
export function createMessagebirdVerify(settings: MessagebirdVerifySettings): Gateway {
  const api = createMessagebirdApi(settings)

  return {
    name: 'messagebird-verify',
    can: {
      channels: ['sms', 'voice'],
      // Those of the template below.
      voiceLanguages: ['en'],
      senderKinds: ['name', 'number', 'chosen-there'],
      validity: { minSeconds: 30, maxSeconds: 172_800 },
      encoding: 'by-gateway',
      maxTextLength: null,
      idempotent: false,
      sandbox: true,
    },

    async send(message, signal) {
      const { codeLength } = message
      if (codeLength === null)
        return { outcome: 'refused', failure: 'content', detail: 'carries-codes-only' }
      const body = verificationOf(message, codeLength)
      return judge(await api.post('/verify', body, signal), accepted, messagebirdRefusal)
    },

    check: api.check,

    async judge(providerId, code, signal) {
      // Without a token the same request reads the verification, and would tell of an earlier success.
      if (!/^\d{4,10}$/.test(code)) return 'wrong'
      const path = `/verify/${encodeURIComponent(providerId)}?token=${code}`
      return verdictOf(await api.get(path, signal))
    },
  }
}

function verificationOf(message: OutgoingMessage, tokenLength: number): object {
  const { to, sender, reference, validitySeconds } = message
  return {
    recipient: asDigits(to),
    ...(sender !== null && { originator: asDigits(sender) }),
    reference,
    template: 'Your code is: %token',
    tokenLength,
    // Left out, the code would hold for 30 seconds.
    timeout: validitySeconds,
    ...(message.channel === 'sms'
      ? { type: 'sms' }
      : { type: 'tts', language: 'en-gb', voice: 'female' }),
  }
}

const Started = z.object({ id: z.string(), status: z.literal('sent') })

function accepted({ json }: Answer): SendResult | undefined {
  const providerId = asProviderId(Started.safeParse(json).data?.id)
  // Without its id the code could never be judged.
  return providerId === null ? undefined : { outcome: 'accepted', providerId }
}

const Verification = z.object({ status: z.string() })

function verdictOf(result: HttpResult): CodeVerdict {
  if (result.kind !== 'answer') return 'unavailable'
  const { status, json } = result
  if (status >= 200 && status < 300) return byState(Verification.safeParse(json).data?.status)
  const error = apiErrorOf(result)
  // 98 is said of a wrong address, not of an unknown verification.
  if (status === 404) return error?.code === 98 ? 'unavailable' : 'gone'
  if (status === 422) return 'wrong'
  return status >= 400 && status < 500 && error?.parameter === 'token' ? 'wrong' : 'unavailable'
}

function byState(state: string | undefined): CodeVerdict {
  switch (state) {
    case 'verified':
      return 'right'
    case 'sent':
      return 'wrong'
    case 'expired':
    case 'deleted':
      return 'gone'
    case 'failed':
      return 'too-many-tries'
    default:
      return 'unavailable'
  }
}
