import { randomBytes } from 'node:crypto'
import type { FakeContract, FakeMessage, FakeReply, FakeRequest } from './fake-gateway.ts'

export const SMSTOOLS_ID = '1234567890'
export const SMSTOOLS_SECRET = 'smstools-client-secret'

const COMMON = ['message', 'to', 'sender', 'date', 'reference', 'test']
const FIELDS = {
  sms: new Set([...COMMON, 'subid']),
  voice: new Set([...COMMON, 'language', 'gender']),
}

/** As at https://api.smsgatewayapi.com/v1. */
export const smstoolsContract: FakeContract = {
  basePath: '/v1',
  answer(request) {
    const { method, path, headers, query } = request
    if (query.size > 0) return refusal(400, '139', 'query string')
    if (
      headers['x-client-id'] !== SMSTOOLS_ID ||
      headers['x-client-secret'] !== SMSTOOLS_SECRET ||
      headers.authorization
    )
      return { status: 401, body: { error: '104', errorMsg: 'Invalid credentials' } }
    if (headers.accept !== 'application/json') return refusal(400, '139', 'accept')
    if (method === 'GET' && path === '/auth') return { status: 200, body: { success: true } }
    if (method === 'POST' && path === '/message/send') return send(request, 'sms')
    if (method === 'POST' && path === '/voice/send') return send(request, 'voice')
    return refusal(404, '138', 'method or path')
  },
}

function send({ headers, body }: FakeRequest, channel: 'sms' | 'voice'): FakeReply {
  if (headers['content-type'] !== 'application/json') return refusal(400, '112', 'content type')
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(body)
  } catch {
    return { status: 400, body: { error: 'error parsing json' }, fault: 'not JSON' }
  }
  const stranger = Object.keys(fields).find((name) => !FIELDS[channel].has(name))
  if (stranger) return refusal(400, '121', `unknown field ${stranger}`)
  const { message, to, sender, reference = '', language = 'en', gender = 'Female' } = fields
  if (typeof message !== 'string' || message === '') return refusal(400, '102', 'message')
  if (lengthOf(message) > 612) return refusal(400, '114', 'too long')
  if (typeof to !== 'string' || !/^[1-9]\d{6,14}$/.test(to)) return refusal(400, '106', 'to')
  if (sender === undefined && channel === 'sms') return refusal(400, '109', 'no sender')
  if (sender !== undefined && !isSender(sender)) return refusal(400, '111', 'sender')
  if (typeof reference !== 'string' || reference.length > 75)
    return refusal(400, '121', 'reference')
  if (!['en', 'nl', 'fr', 'de'].includes(String(language))) return refusal(400, '121', 'language')
  if (!['Female', 'Male'].includes(String(gender))) return refusal(400, '121', 'gender')
  const providerId = `${Date.now().toString(36)}-${randomBytes(11).toString('hex')}`
  const sent: FakeMessage = {
    channel,
    to: `+${to}`,
    text: message,
    sender: sender === undefined ? null : String(sender),
    reference: reference || null,
    providerId,
    reportUrl: null,
  }
  return { status: 200, body: { messageid: providerId }, message: sent }
}

/** A number with its plus, or a name. */
function isSender(sender: unknown): boolean {
  return typeof sender === 'string' && /^(\+\d{5,14}|[A-Za-z0-9 ]{1,11})$/.test(sender)
}

/** As it counts: these are two each. */
function lengthOf(text: string): number {
  return text.length + (text.match(/[€\\[\]^{}~|]/g)?.length ?? 0)
}

function refusal(status: number, error: string, fault: string): FakeReply {
  return { status, body: { error, errorMsg: fault }, fault }
}
