import { generateKeyPairSync, randomUUID, verify } from 'node:crypto'
import { z } from 'zod'
import type { FakeContract, FakeReply, FakeRequest } from './fake-gateway.ts'

export const VONAGE_KEY = 'a1b2c3d4'
export const VONAGE_SECRET = 'vonage-api-secret'
export const VONAGE_APPLICATION = 'aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const VONAGE_PRIVATE_KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

const BASIC = `Basic ${Buffer.from(`${VONAGE_KEY}:${VONAGE_SECRET}`).toString('base64')}`

/** As at https://api.nexmo.com. */
export const vonageContract: FakeContract = {
  basePath: '',
  answer(request) {
    const { method, path, headers, query } = request
    const calls = path === '/v1/calls'
    if (!calls && path !== '/v1/messages' && path !== '/v2/applications')
      return problem(404, 'Not found', 'path')
    const { authorization = '' } = headers
    if (calls ? !isByApplication(authorization) : authorization !== BASIC)
      return problem(401, 'Unauthorized')
    if (method === 'GET' && path !== '/v1/messages') {
      const strange = [...query.keys()].find((name) => name !== 'page_size')
      return strange
        ? problem(400, 'Bad Request', `query ${strange}`)
        : { status: 200, body: { page_size: 1, total_items: 1, _embedded: {} } }
    }
    if (method !== 'POST' || path === '/v2/applications')
      return problem(405, 'Method not allowed', 'method')
    if (query.size > 0) return problem(422, 'Invalid params', 'query')
    if (headers['content-type'] !== 'application/json')
      return problem(415, 'Unsupported media type', 'content type')
    return calls ? takeCall(request) : takeText(request)
  },
}

const Claims = z.strictObject({
  application_id: z.literal(VONAGE_APPLICATION),
  iat: z.int(),
  exp: z.int(),
  jti: z.uuid(),
})

const used = new Set<string>()

/** A token of the application's own key, young, soon over and never used before. */
function isByApplication(authorization: string): boolean {
  const token = /^Bearer (([\w-]+)\.([\w-]+))\.([\w-]+)$/.exec(authorization)
  if (!token) return false
  const [, signed = '', header = '', payload = '', signature = ''] = token
  const decoded = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString())
  if (
    z.strictObject({ typ: z.literal('JWT'), alg: z.literal('RS256') }).safeParse(decoded(header))
      .error
  )
    return false
  if (!verify('RSA-SHA256', Buffer.from(signed), publicKey, Buffer.from(signature, 'base64url')))
    return false
  const { data: claims } = Claims.safeParse(decoded(payload))
  const now = Date.now() / 1000
  if (!claims || Math.abs(claims.iat - now) > 60 || used.has(claims.jti)) return false
  used.add(claims.jti)
  return claims.exp > now && claims.exp - claims.iat <= 900
}

const Digits = z.string().regex(/^[1-9]\d{6,14}$/)
const Sender = z.string().regex(/^([1-9]\d{2,14}|[A-Za-z0-9 ]{1,11})$/)
const Address = z.url({ protocol: /^https$/ })

const Text = z.strictObject({
  message_type: z.literal('text'),
  channel: z.literal('sms'),
  to: Digits,
  from: Sender,
  text: z.string().min(1).max(1000),
  client_ref: z.string().max(40).optional(),
  ttl: z.int().min(20).max(604_800).optional(),
  sms: z.strictObject({ encoding_type: z.enum(['auto', 'text', 'unicode']) }).optional(),
  webhook_url: Address.optional(),
})

function takeText({ body }: FakeRequest): FakeReply {
  const given = parsed(Text, body)
  if ('fault' in given) return given
  const { to, from, text, client_ref = null, webhook_url = null } = given.data
  const providerId = randomUUID()
  return {
    status: 202,
    body: { message_uuid: providerId },
    message: {
      channel: 'sms',
      to: `+${to}`,
      text,
      sender: from,
      reference: client_ref,
      providerId,
      reportUrl: webhook_url,
    },
  }
}

const Phone = z.strictObject({ type: z.literal('phone'), number: Digits })

const Talk = z.strictObject({
  action: z.literal('talk'),
  text: z.string().min(1).max(1500),
  // Of those it has, the ones that our languages could mean.
  language: z
    .string()
    .regex(/^(ar|(cs|da|de|el|en|es|fi|fr|hu|it|ja|ko|nb|nl|pl|pt|ro|ru|sv|tr|uk|cmn)-[A-Z]{2})$/),
  style: z.int().min(0).optional(),
  loop: z.int().min(1).optional(),
})

const Call = z
  .strictObject({
    to: z.tuple([Phone]),
    from: Phone.optional(),
    random_from_number: z.literal(true).optional(),
    ncco: z.tuple([Talk]),
    event_url: z.tuple([Address]).optional(),
    ringing_timer: z.int().min(1).max(120).optional(),
    length_timer: z.int().min(1).max(7200).optional(),
    machine_detection: z.enum(['continue', 'hangup']).optional(),
  })
  .refine(({ from, random_from_number }) => (from === undefined) === (random_from_number === true))

function takeCall({ body }: FakeRequest): FakeReply {
  const given = parsed(Call, body)
  if ('fault' in given) return given
  const { to, from, ncco, event_url } = given.data
  const [talk] = ncco
  const heard = heardOf(talk.text)
  if (heard === null) return problem(400, 'Bad Request', 'not SSML')
  const providerId = randomUUID()
  return {
    status: 201,
    body: {
      uuid: providerId,
      status: 'started',
      direction: 'outbound',
      conversation_uuid: `CON-${randomUUID()}`,
    },
    message: {
      channel: 'voice',
      to: `+${to[0].number}`,
      text: Array.from({ length: talk.loop ?? 1 }, () => heard).join(' '),
      sender: from?.number ?? null,
      reference: null,
      providerId,
      reportUrl: event_url?.[0] ?? null,
    },
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
}

/** What a `talk` says; null where its markup wouldn't parse. */
function heardOf(ssml: string): string | null {
  const inside = /^<speak>(.*)<\/speak>$/s.exec(ssml)?.[1]
  const words = inside?.replace(/<break time="\d+ms"\/>/g, ' ')
  if (words === undefined || /[<>]|&(?!(amp|lt|gt|quot|apos);)/.test(words)) return null
  return words.replace(/&(\w+);/g, (_, name: string) => ENTITIES[name] ?? '')
}

function parsed<Shape extends z.ZodType>(
  shape: Shape,
  body: string,
): { data: z.output<Shape> } | (FakeReply & { fault: string }) {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return problem(422, 'The request body did not contain valid JSON', 'not JSON')
  }
  const { data, error } = shape.safeParse(json)
  return error ? problem(422, 'Invalid params', z.prettifyError(error)) : { data }
}

function problem(status: number, title: string): FakeReply
function problem(status: number, title: string, fault: string): FakeReply & { fault: string }
function problem(status: number, title: string, fault?: string): FakeReply {
  return {
    status,
    headers: { 'content-type': 'application/problem+json' },
    body: {
      type: 'https://developer.nexmo.com/api-errors',
      title,
      detail: title,
      instance: 'bf0ca0bf',
    },
    ...(fault && { fault }),
  }
}
