import { createHash, createHmac, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { signStandardWebhook } from '../../src/messaging/standard-webhooks.ts'
import type { FakeMessage } from './fake-gateway.ts'
import { HTTP_SECRETS } from './fake-http.ts'
import { TWILIO_TOKEN } from './fake-twilio.ts'
import type { House } from './house.ts'

export const TEXTBEE_WEBHOOK = 'twenty-or-more-characters'
export const MESSAGEBIRD_SIGNING = 'messagebird-signing-key'

/** textbee's report on the one text that it was handed: its fake gives every text the same id. */
export function reportFromTextbee(house: House, status: 'delivered' | 'failed'): Promise<Response> {
  const body = JSON.stringify({
    smsId: '665f0c0e1f4b2a0012ab34cd',
    message: 'x',
    deviceId: house.gateway.deviceId,
    webhookSubscriptionId: '665f0c0e1f4b2a0012ab0002',
    webhookEvent: status === 'delivered' ? 'MESSAGE_DELIVERED' : 'MESSAGE_FAILED',
    idempotencyKey: randomUUID(),
    smsBatchId: '665f0c0e1f4b2a0012ab0003',
    status,
    recipient: '+46701234567',
  })
  const headers = {
    'x-signature': createHmac('sha256', TEXTBEE_WEBHOOK).update(body).digest('hex'),
  }
  return fetch(`${house.url}/webhooks/gateways/textbee`, { method: 'POST', body, headers })
}

/** A report of a receiver of one's own. */
export function reportFromHttp(
  house: House,
  { reference }: FakeMessage,
  report: { status: string; failure?: string; fault?: string },
): Promise<Response> {
  const body = JSON.stringify({ reference, ...report })
  const [id, timestamp] = [randomUUID(), Math.floor(Date.now() / 1000)]
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signStandardWebhook(HTTP_SECRETS[0] ?? '', { id, timestamp, body }),
  }
  return fetch(`${house.url}/webhooks/gateways/http`, { method: 'POST', body, headers })
}

/** MessageBird's: a GET whose query tells it, at the address that the message was handed with. */
export async function reportFromMessagebird(
  house: House,
  { providerId, reportUrl }: FakeMessage,
  told: Record<string, string>,
): Promise<Response> {
  const query = new URLSearchParams({ id: providerId ?? '', ...told })
  const url = `${reportUrl}&${query}`
  const now = Math.floor(Date.now() / 1000)
  const urlHash = createHash('sha256').update(url).digest('hex')
  const token = await new SignJWT({ nbf: now, exp: now + 60, jti: randomUUID(), url_hash: urlHash })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer('MessageBird')
    .sign(Buffer.from(MESSAGEBIRD_SIGNING))
  return fetch(insideOf(house, url), { headers: { 'messagebird-signature-jwt': token } })
}

/** Twilio's: a form, signed together with the address. */
export function reportFromTwilio(
  house: House,
  { providerId, reportUrl }: FakeMessage,
  told: Record<string, string>,
): Promise<Response> {
  const fields: Record<string, string> = { MessageSid: providerId ?? '', ...told }
  const sorted = Object.keys(fields)
    .toSorted()
    .map((name) => `${name}${fields[name]}`)
  const signature = createHmac('sha1', TWILIO_TOKEN).update(`${reportUrl}${sorted.join('')}`)
  return fetch(insideOf(house, reportUrl ?? ''), {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers: { 'x-twilio-signature': signature.digest('base64') },
  })
}

/** Where a proxy would pass on what came to a public address. */
function insideOf(house: House, url: string): string {
  const { pathname, search } = new URL(url)
  return `${house.url}${pathname}${search}`
}
