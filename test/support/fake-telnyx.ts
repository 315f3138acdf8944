import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { z } from 'zod'
import type { Callback } from '../../src/messaging/gateway.ts'
import type { FakeContract, FakeReply, FakeRequest } from './fake-gateway.ts'
import { heard, referenceIn } from './fake-twilio.ts'

export const TELNYX_KEY = 'KEY0199c0ffee_s3cr3tpart'
export const TELNYX_PROFILE = '40017d1c-7b0e-4f5e-9d3a-0c1d2e3f4a5b'
export const TELNYX_VERIFY_PROFILE = '49000192-1bdb-456f-8de7-e008ef6da16b'
export const TELNYX_ACCOUNT = '61c9d5c2-4a4f-4f4e-8f0a-1b2c3d4e5f60'
export const TELNYX_APPLICATION = '2137000000000000001'

/** What it makes of a verification. */
export const TELNYX_CODE = '480216'

/** The key of the contract's test vector: a seed of 32 bytes, each of them 7. */
const KEY = privateKey(7)
export const TELNYX_PUBLIC_KEY = publicKeyOf(KEY)
export const TELNYX_OTHER_PUBLIC_KEY = publicKeyOf(privateKey(8))

function privateKey(byte: number) {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
  const key = Buffer.concat([prefix, Buffer.alloc(32, byte)])
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
}

function publicKeyOf(key: ReturnType<typeof privateKey>): string {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return der.subarray(-32).toString('base64')
}

/** A report as Telnyx sends it. */
export function signedByTelnyx(url: string, body: string): Callback {
  const now = 1767225600
  return {
    method: 'POST',
    url,
    headers: {
      'telnyx-timestamp': String(now),
      'telnyx-signature-ed25519': sign(null, Buffer.from(`${now}|${body}`), KEY).toString('base64'),
    },
    body: Buffer.from(body),
    now,
  }
}

const TEXT_ID = '40385f64-5717-4562-b3fc-2c963f66afa6'
const VERIFICATION_ID = '12ade33a-21c0-473b-b055-b3c836e1c292'

const LOCALES =
  'da-DK de-DE en-AU en-GB en-IN en-US es-ES es-MX es-US fr-CA fr-FR hi-IN is-IS it-IT ja-JP ko-KR nb-NO nl-NL pl-PL pt-BR pt-PT ro-RO ru-RU sv-SE tr-TR'.split(
    ' ',
  )

const number = z.string().regex(/^\+[1-9]\d{6,14}$/)
const url = z.url({ protocol: /^https$/ })

const Text = z
  .strictObject({
    to: number,
    from: z
      .string()
      .regex(/^(\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$/)
      .optional(),
    messaging_profile_id: z.literal(TELNYX_PROFILE).optional(),
    text: z.string().min(1),
    type: z.literal('SMS'),
    webhook_url: url.optional(),
  })
  .refine(({ from, messaging_profile_id }) => {
    return messaging_profile_id !== undefined || (from !== undefined && !/[A-Za-z]/.test(from))
  }, 'a name or a pool of numbers needs a messaging profile')

const Call = z.strictObject({
  ApplicationSid: z.literal(TELNYX_APPLICATION),
  To: number,
  From: number,
  Texml: z.string().refine((texml) => heard(texml, LOCALES) !== null, 'TeXML'),
  Timeout: z.int().min(5).max(120),
  TimeLimit: z.int().min(30).max(14_400),
  StatusCallback: url.optional(),
})

const Start = z.strictObject({
  phone_number: number,
  verify_profile_id: z.literal(TELNYX_VERIFY_PROFILE),
  timeout_secs: z.int().min(1),
})

const Check = z.strictObject({ code: z.string().min(1) })

/** Telnyx's API: messaging, TeXML calls, Verify with one verification at a time, and the account's money. */
export function createFakeTelnyx(): FakeContract {
  let status: 'none' | 'pending' | 'accepted' = 'none'

  function verification(type: string, body: z.infer<typeof Start>): FakeReply {
    status = 'pending'
    const data = {
      id: VERIFICATION_ID,
      type,
      record_type: 'verification',
      custom_code: null,
      status,
    }
    return {
      status: 200,
      body: { data: { ...data, ...body } },
      message: {
        channel: type === 'sms' ? 'sms' : 'voice',
        to: body.phone_number,
        text: TELNYX_CODE,
        sender: null,
        reference: null,
        providerId: VERIFICATION_ID,
        reportUrl: null,
      },
    }
  }

  function judged({ code }: z.infer<typeof Check>): FakeReply {
    const right = status === 'pending' && code === TELNYX_CODE
    if (right) status = 'accepted'
    const response_code = right ? 'accepted' : 'rejected'
    return { status: 200, body: { data: { phone_number: '+46701740605', response_code } } }
  }

  const routes: Record<string, (request: FakeRequest) => FakeReply> = {
    'GET /balance': () => ({
      status: 200,
      body: { data: { record_type: 'balance', balance: '300.00', currency: 'USD' } },
    }),
    [`GET /verify_profiles/${TELNYX_VERIFY_PROFILE}`]: () => ({
      status: 200,
      body: { data: { id: TELNYX_VERIFY_PROFILE, name: 'Sallyport' } },
    }),
    [`GET /messages/${TEXT_ID}`]: () => ({
      status: 200,
      body: { data: { id: TEXT_ID, to: [{ status: 'delivered' }], errors: [], text: 'secret' } },
    }),
    'POST /messages': (request) => read(request, Text, takeText),
    [`POST /texml/Accounts/${TELNYX_ACCOUNT}/Calls`]: (request) => read(request, Call, takeCall),
    'POST /verifications/sms': (request) => read(request, Start, (b) => verification('sms', b)),
    'POST /verifications/call': (request) => read(request, Start, (b) => verification('call', b)),
    [`GET /verifications/${VERIFICATION_ID}`]: () => ({
      status: 200,
      body: { data: { id: VERIFICATION_ID, status, custom_code: TELNYX_CODE } },
    }),
    [`POST /verifications/${VERIFICATION_ID}/actions/verify`]: (request) =>
      read(request, Check, judged),
  }

  return {
    basePath: '/v2',
    answer(request) {
      if (request.headers.authorization !== `Bearer ${TELNYX_KEY}`) return refusal(401, '10009')
      const route = `${request.method} ${request.path}`
      const answer = request.query.size === 0 ? routes[route] : undefined
      return answer?.(request) ?? { ...refusal(404, '10005'), fault: `no such call: ${route}` }
    },
  }
}

function takeText({ to, from, text, webhook_url }: z.infer<typeof Text>): FakeReply {
  const data = {
    record_type: 'message',
    direction: 'outbound',
    id: TEXT_ID,
    type: 'SMS',
    to: [{ phone_number: to, status: 'queued' }],
    text,
    parts: 1,
    errors: [],
    valid_until: null,
  }
  return {
    status: 200,
    body: { data },
    message: {
      channel: 'sms',
      to,
      text,
      sender: from ?? null,
      reference: referenceIn(webhook_url),
      providerId: TEXT_ID,
      reportUrl: webhook_url ?? null,
    },
  }
}

function takeCall({ To, From, Texml, StatusCallback }: z.infer<typeof Call>): FakeReply {
  return {
    status: 200,
    body: { from: From, to: To, status: 'queued' },
    message: {
      channel: 'voice',
      to: To,
      text: heard(Texml, LOCALES) ?? '',
      sender: From,
      reference: referenceIn(StatusCallback),
      providerId: null,
      reportUrl: StatusCallback ?? null,
    },
  }
}

function read<Body>(
  { headers, body }: FakeRequest,
  schema: z.ZodType<Body>,
  take: (body: Body) => FakeReply,
): FakeReply {
  if (!/^application\/json\b/.test(headers['content-type'] ?? ''))
    return { ...refusal(415, '10014'), fault: `content type ${headers['content-type']}` }
  const parsed = schema.safeParse(JSON.parse(body))
  if (parsed.success) return take(parsed.data)
  return { ...refusal(422, '10015'), fault: z.prettifyError(parsed.error) }
}

function refusal(status: number, code: string): FakeReply {
  return { status, body: { errors: [{ code, title: 'No.', detail: 'No.' }] } }
}
