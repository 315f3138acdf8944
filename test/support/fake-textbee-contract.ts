import { randomBytes } from 'node:crypto'
import type { FakeContract, FakeMessage, FakeReply, FakeRequest } from './fake-gateway.ts'

export const TEXTBEE_KEY = '5d0fbc3e-8f55-4c0b-9c1b-3a6c2f4e7d10'
export const TEXTBEE_DEVICE = '665f0c0e1f4b2a0012ab0001'

const FIELDS = new Set(['recipients', 'message', 'simSubscriptionId', 'scheduledAt'])

/** As at https://api.textbee.dev/api/v1, where it runs with a queue. */
export const textbeeContract: FakeContract = {
  basePath: '/api/v1',
  answer(request) {
    const { method, path, headers, query } = request
    if (headers['x-api-key'] !== TEXTBEE_KEY || headers.authorization || query.size > 0)
      return { status: 401, body: { error: 'Unauthorized' } }
    if (method === 'GET' && path === '/gateway/devices')
      return { status: 200, body: { data: [{ _id: TEXTBEE_DEVICE, enabled: true }] } }
    const [, device, action] = /^\/gateway\/devices\/([^/]+)\/(.+)$/.exec(path) ?? []
    if (device !== TEXTBEE_DEVICE) return refusal(401, 'Unauthorized', 'device')
    if (method === 'GET' && /^sms-batch\/[0-9a-f]{24}$/.test(action ?? ''))
      return { status: 404, body: { success: false, error: 'SMS batch not found' } }
    if (method === 'POST' && action === 'send-sms') return send(request)
    return refusal(404, 'Cannot do that', 'method or path')
  },
}

function send({ headers, body }: FakeRequest): FakeReply {
  if (headers['content-type'] !== 'application/json')
    return refusal(400, 'Message cannot be blank', 'content type')
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(body)
  } catch {
    return refusal(400, 'Unexpected token in JSON', 'not JSON')
  }
  const stranger = Object.keys(fields).find((name) => !FIELDS.has(name))
  const { recipients, message, simSubscriptionId } = fields
  if (stranger) return refusal(400, 'Unknown', `unknown field ${stranger}`)
  if (typeof message !== 'string' || message.trim() === '')
    return refusal(400, 'Message cannot be blank', 'message')
  const to: unknown = Array.isArray(recipients) && recipients.length === 1 ? recipients[0] : null
  if (typeof to !== 'string' || !/^\+[1-9]\d{6,14}$/.test(to))
    return refusal(400, 'Invalid recipients', 'recipients')
  if (!['undefined', 'number'].includes(typeof simSubscriptionId))
    return refusal(400, 'Invalid simSubscriptionId', 'simSubscriptionId')
  const smsBatchId = randomBytes(12).toString('hex')
  const sent: FakeMessage = {
    channel: 'sms',
    to,
    text: message,
    sender: null,
    reference: null,
    providerId: smsBatchId,
    reportUrl: null,
  }
  const words = 'SMS added to queue for processing'
  const data = { success: true, message: words, smsBatchId, recipientCount: 1 }
  return { status: 201, body: { data }, message: sent }
}

function refusal(status: number, error: string, fault: string): FakeReply {
  return { status, body: { success: false, error }, fault }
}
