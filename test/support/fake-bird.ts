import { z } from 'zod'
import { measureText } from '../../src/messaging/gsm7.ts'
import type { FakeContract, FakeReply, FakeRequest } from './fake-gateway.ts'

export const API_KEY = 'bk_eu1_7Qm2WzXn4VtRk9LcYp3D'

const Send = z.strictObject({
  to: z.string().regex(/^\+[1-9]\d{6,14}$/),
  from: z.string().regex(/^(?:\+[1-9]\d{6,14}|\d{5,6}|(?=.*[A-Za-z])[A-Za-z0-9 _-]{1,11})$/),
  text: z
    .string()
    .min(1)
    .refine((text) => measureText(text).parts <= 12),
  category: z.enum(['transactional', 'marketing', 'authentication', 'service']),
  metadata: z
    .record(z.string(), z.unknown())
    .refine((metadata) => JSON.stringify(metadata).length <= 2048)
    .optional(),
  options: z.strictObject({ smart_encoding: z.boolean().optional() }).optional(),
})

export type FakeBird = FakeContract & {
  /** what reading a message tells, by id */
  messages: Map<string, object>
}

/**
 * Bird v1: sending and reading texts.
 * @param remembers whether a key of idempotency counts; it does so for as long as the fake lives
 */
export function fakeBird({ remembers = false } = {}): FakeBird {
  let count = 0
  const messages: FakeBird['messages'] = new Map()
  const earlier = new Map<string, { body: string; reply: FakeReply }>()

  function answer({ method, path, query, headers, body }: FakeRequest): FakeReply {
    if (headers.authorization !== `Bearer ${API_KEY}`) return refuse(401, 'E00001', 'AuthFailed')
    if (query.size > 0) return refuse(404, 'E00002', 'NotFound')
    const [, id] = /^\/v1\/sms\/messages\/(sms_[0-9a-hjkmnp-tv-z]{26})$/.exec(path) ?? []
    if (method === 'GET' && id !== undefined) {
      const message = messages.get(id)
      if (message) return { status: 200, body: message }
      return { status: 404, body: error('E00003', 'SMSMessageNotFound') }
    }
    if (method !== 'POST' || path !== '/v1/sms/messages') return refuse(404, 'E00002', 'NotFound')
    if (!/^application\/json(;|$)/.test(headers['content-type'] ?? ''))
      return refuse(400, 'E00004', 'ContentType')
    const key = String(headers['idempotency-key'] ?? '')
    const before = earlier.get(key)
    if (before && before.body !== body) return refuse(409, 'E01005', 'IdempotencyKeyReused')
    if (before) {
      const { message: _, ...reply } = before.reply
      return reply
    }
    const reply = take(body)
    if (remembers && key !== '' && !reply.fault) earlier.set(key, { body, reply })
    return reply
  }

  function take(body: string): FakeReply {
    const { success, data: sent, error } = Send.safeParse(jsonOf(body))
    if (!success) {
      const [issue] = error.issues
      return refuse(422, 'E02000', 'ValidationFailed', String(issue?.path[0] ?? issue?.message))
    }
    const id = `sms_${String(++count).padStart(26, '0')}`
    const { encoding, parts } = measureText(sent.text)
    return {
      status: 202,
      body: {
        ...{ id, direction: 'outbound', status: 'accepted', to: sent.to, from: sent.from },
        text: sent.category === 'authentication' ? '**REDACTED**' : sent.text,
        category: sent.category,
        segments: {
          count: parts,
          encoding: encoding === 'gsm-7' ? 'GSM_7BIT' : 'UCS2',
          characters: sent.text.length,
        },
        created_at: '2026-01-01T00:00:00Z',
      },
      message: {
        channel: 'sms',
        to: sent.to,
        text: sent.text,
        sender: sent.from,
        reference: z.string().nullable().catch(null).parse(sent.metadata?.reference),
        providerId: id,
        reportUrl: null,
      },
    }
  }

  return { basePath: '', answer, messages }
}

export function error(code: string, name: string, param?: string) {
  return {
    error: {
      ...{ type: 'validation_error', code, name, message: 'as documented', request_id: 'req_1' },
      doc_url: `https://bird.com/docs/errors/${code}`,
      ...(param !== undefined && { param }),
    },
  }
}

function refuse(status: number, code: string, name: string, param?: string): FakeReply {
  return { status, body: error(code, name, param), fault: `${name} ${param ?? ''}` }
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
