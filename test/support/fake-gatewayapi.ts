import { createHmac } from 'node:crypto'
import { measureText } from '../../src/messaging/gsm7.ts'
import type { FakeContract, FakeMessage, FakeReply, FakeRequest } from './fake-gateway.ts'

export const GATEWAYAPI_TOKEN = 'hMvCn2w1St-3pgVuIoqB0HyC'
export const GATEWAYAPI_CONSUMER = { key: 'Create-an-API-Key', secret: 'Go&Generate An+Api-Key' }

type Fields = Record<string, unknown>

const REST_FIELDS = new Set([
  ...['message', 'recipients', 'sender', 'encoding', 'class', 'priority', 'validity_period'],
  ...['userref', 'callback_url', 'destaddr', 'max_parts', 'label', 'sendtime', 'tags'],
])

let lastId = 421332670

/** As at https://gatewayapi.com: the older API. */
export const gatewayApiRest: FakeContract = {
  basePath: '',
  answer(request) {
    const { method, path, query } = request
    const refused = isBasic(request) ? undefined : oauthFault(request)
    if (refused) return refusal(401, refused)
    if (query.size > 0) return refusal(400, '0x0220', 'query string')
    if (method === 'GET' && path === '/rest/me')
      return { status: 200, body: { credit: 1234.56, currency: 'DKK', id: 1 } }
    if (method === 'GET' && /^\/rest\/mtsms\/\d+$/.test(path)) return { status: 404, body: {} }
    if (method === 'POST' && path === '/rest/mtsms') return sendByRest(request)
    return { status: 404, body: '<html>', fault: 'method or path' }
  },
}

function isBasic({ headers }: FakeRequest): boolean {
  const basic = Buffer.from(`${GATEWAYAPI_TOKEN}:`).toString('base64')
  return headers.authorization === `Basic ${basic}`
}

const usedNonces = new Set<string>()

/** @returns its code for what is wrong with the credentials */
function oauthFault({ method, path, headers }: FakeRequest): string | undefined {
  const [, list] = /^OAuth (.*)$/.exec(headers.authorization ?? '') ?? []
  if (list === undefined) return '0x0229'
  const given = new Map(
    list.split(', ').map((pair): [string, string] => {
      const [, name = '', value = ''] = /^(oauth_\w+)="([^"]*)"$/.exec(pair) ?? []
      return [name, decodeURIComponent(value)]
    }),
  )
  const value = (name: string) => given.get(`oauth_${name}`) ?? ''
  if (value('signature_method') !== 'HMAC-SHA1' || value('version') !== '1.0') return '0x0221'
  if (value('consumer_key') !== GATEWAYAPI_CONSUMER.key) return '0x0223'
  if (Math.abs(Number(value('timestamp')) - Date.now() / 1000) > 300) return '0x0225'
  const nonce = value('nonce')
  if (nonce.length < 8 || usedNonces.has(nonce)) return '0x0226'
  usedNonces.add(nonce)
  const signed = [...given]
    .filter(([name]) => name !== 'oauth_signature')
    .map(([name, text]) => `${name}=${encodeURIComponent(text)}`)
    .sort()
    .join('&')
  const base = [method, `http://${headers.host}${path}`, signed].map(encodeURIComponent).join('&')
  const key = `${encodeURIComponent(GATEWAYAPI_CONSUMER.secret)}&`
  const right = createHmac('sha1', key).update(base).digest('base64')
  return value('signature') === right ? undefined : '0x0224'
}

function sendByRest({ headers, body }: FakeRequest): FakeReply {
  const fields = fieldsOf(headers['content-type'], body)
  if (!fields) return refusal(400, '0x0220', 'no JSON object')
  const stranger = Object.keys(fields).find((name) => !REST_FIELDS.has(name))
  if (stranger) return refusal(400, '0x0220', `unknown field ${stranger}`)
  const { message, recipients, sender, encoding = 'UTF8', userref, validity_period } = fields
  if (typeof message !== 'string' || message === '') return refusal(400, '0x0222', 'message')
  const [to, ...more] = Array.isArray(recipients) ? recipients : []
  if (more.length > 0 || Object.keys(to ?? {}).join() !== 'msisdn')
    return refusal(400, '0x0222', 'recipients')
  if (!isMsisdn(to.msisdn)) return refusal(422, '0x0311', 'msisdn')
  if (sender !== undefined && !isSender(sender)) return refusal(422, '0x0311', 'sender')
  if (!['UTF8', 'UCS2'].includes(String(encoding))) return refusal(422, '0x0311', 'encoding')
  if (!['standard', 'premium', 'secret'].includes(String(fields.class ?? 'standard')))
    return refusal(422, '0x0218', 'class')
  if (!isWhole(validity_period) || Number(validity_period) < 60)
    return refusal(422, '0x0311', 'validity_period')
  if (typeof userref !== 'string') return refusal(422, '0x0311', 'userref')
  lastId += 1
  const sent: FakeMessage = {
    channel: 'sms',
    to: `+${to.msisdn}`,
    text: encoding === 'UCS2' ? message : asGsm(message),
    sender: sender === undefined ? null : String(sender),
    reference: userref,
    providerId: String(lastId),
    reportUrl: typeof fields.callback_url === 'string' ? fields.callback_url : null,
  }
  const usage = { countries: { SE: 1 }, currency: 'DKK', total_cost: 0.12 }
  return { status: 200, body: { ids: [lastId], usage }, message: sent }
}

/** Letters that GSM 03.38 doesn't have are lost. */
function asGsm(text: string): string {
  return Array.from(text, (letter) =>
    measureText(letter).encoding === 'gsm-7' ? letter : '?',
  ).join('')
}

const MESSAGING_FIELDS = new Set([
  ...['sender', 'recipient', 'message', 'reference', 'expiration', 'priority', 'label'],
])

/** As at https://messaging.gatewayapi.com: the newer API. */
export const gatewayApiMessaging: FakeContract = {
  basePath: '',
  answer(request) {
    const { method, path, query, headers } = request
    if (headers.authorization !== `Token ${GATEWAYAPI_TOKEN}`)
      return { status: 401, body: { detail: 'Unauthorized' } }
    if (method !== 'POST' || path !== '/mobile/single' || query.size > 0)
      return { status: 404, body: { detail: 'Not Found' }, fault: 'method or path' }
    return sendByMessaging(request)
  },
}

function sendByMessaging({ headers, body }: FakeRequest): FakeReply {
  const fields = fieldsOf(headers['content-type'], body)
  if (!fields) return invalid('', 'no JSON object')
  // How a token is tried without sending anything.
  if (Object.keys(fields).length === 0) return { ...invalid('sender'), fault: undefined }
  const stranger = Object.keys(fields).find((name) => !MESSAGING_FIELDS.has(name))
  if (stranger) return invalid(stranger, `unknown field ${stranger}`)
  const { sender, recipient, message, reference = null, expiration } = fields
  if (!isSender(sender)) return invalid('sender')
  if (typeof recipient !== 'number' || !isMsisdn(recipient)) return invalid('recipient')
  if (typeof message !== 'string' || message === '') return invalid('message')
  if (reference !== null && typeof reference !== 'string') return invalid('reference')
  if (!/^PT\d+S$/.test(String(expiration))) return invalid('expiration')
  lastId += 1
  const msg_id = `01JNN696A9E0WS89${String(lastId).padStart(10, '0')}`
  const sent: FakeMessage = {
    channel: 'sms',
    to: `+${recipient}`,
    text: message,
    sender: String(sender),
    reference,
    providerId: msg_id,
    reportUrl: null,
  }
  return { status: 200, body: { msg_id, recipient, reference }, message: sent }
}

function invalid(field: string, fault = field): FakeReply {
  const detail = [{ loc: ['body', field], msg: 'Some words', type: 'value_error' }]
  return { status: 422, body: { detail }, fault }
}

function refusal(status: number, code: string, fault?: string): FakeReply {
  const body = {
    code,
    incident_uuid: 'd8127429-fa0c-4316-b1f2-e610c3958f43',
    message: 'Some words',
  }
  return { status, body, ...(fault && { fault }) }
}

function fieldsOf(contentType: string | undefined, body: string): Fields | undefined {
  if (contentType !== 'application/json') return undefined
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined
  } catch {
    return undefined
  }
}

function isMsisdn(value: unknown): boolean {
  return /^[1-9]\d{6,14}$/.test(String(value))
}

function isSender(value: unknown): boolean {
  return typeof value === 'string' && /^(\d{3,15}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$/.test(value)
}

function isWhole(value: unknown): boolean {
  return Number.isInteger(value)
}
