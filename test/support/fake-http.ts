import { createHmac } from 'node:crypto'
import { z } from 'zod'
import type { FakeContract, FakeReply } from './fake-gateway.ts'

/** The first signs what is sent; the other is on its way out. */
export const HTTP_SECRETS: readonly string[] = [
  'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
]

const [SECRET = ''] = HTTP_SECRETS
const KEY = Buffer.from(SECRET.slice('whsec_'.length), 'base64')

const Message = z.strictObject({
  to: z.string().regex(/^\+[1-9]\d{6,14}$/),
  text: z.string().min(1),
  reference: z.string().regex(/^[A-Za-z0-9]{1,40}$/),
  sender: z
    .string()
    .regex(/^(\+[1-9]\d{6,14}|\d{3,8}|[A-Za-z0-9 ]{1,11})$/)
    .nullable(),
  channel: z.literal('sms'),
  validity_seconds: z.int().min(1),
})

const Check = z.strictObject({ check: z.literal(true) })

/** A receiver as our documentation asks for it. */
export const httpContract: FakeContract = {
  basePath: '/hooks/send',
  answer({ method, path, query, headers, body }): FakeReply {
    if (path !== '' || query.size > 0) return refusal(404, 'address')
    if (method !== 'POST') return refusal(405, 'method')
    if (headers['content-type'] !== 'application/json') return refusal(415, 'content type')
    const id = String(headers['webhook-id'])
    const timestamp = String(headers['webhook-timestamp'])
    const right = createHmac('sha256', KEY).update(`${id}.${timestamp}.${body}`).digest('base64')
    if (headers['webhook-signature'] !== `v1,${right}`) return { status: 401 }
    if (!/^\d+$/.test(timestamp) || Math.abs(Number(timestamp) - Date.now() / 1000) > 300)
      return refusal(401, 'time')
    const json: unknown = JSON.parse(body)
    if (Check.safeParse(json).success) return { status: 200, body: {} }
    const { data, error } = Message.safeParse(json)
    if (error) return refusal(422, z.prettifyError(error))
    if (id !== data.reference) return refusal(422, 'webhook-id')
    const { to, text, sender, reference } = data
    const providerId = `receiver:${reference}`
    return {
      status: 202,
      body: { id: providerId },
      message: { channel: 'sms', to, text, sender, reference, providerId, reportUrl: null },
    }
  },
}

function refusal(status: number, fault: string): FakeReply {
  return { status, body: { error: 'config' }, fault }
}
