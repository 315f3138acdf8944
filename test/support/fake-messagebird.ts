import { z } from 'zod'
import { measureText } from '../../src/messaging/gsm7.ts'
import type { FakeContract, FakeMessage, FakeReply, FakeRequest } from './fake-gateway.ts'

export const ACCESS_KEY = 'live_4mKzqVhR2fYtXc8aWnPbLd7Ge'
/** An account on trial texts its owner's number alone. */
export const TRIAL_ERROR =
  'no (correct) recipients found. Note: during your test period you can only send messages to your own number'

const digits = z.string().regex(/^[1-9]\d{6,14}$/)
const name = z.string().regex(/^(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}$/)
const shortCode = z.string().regex(/^\d{3,6}$/)
const url = z.url({ protocol: /^https$/ })
const reference = z.string().regex(/^[A-Za-z0-9]{1,60}$/)
const LANGUAGES =
  'cy-gb,da-dk,de-de,el-gr,en-au,en-gb,en-gb-wls,en-in,en-us,es-es,es-mx,es-us,fr-ca,fr-fr,id-id,is-is,it-it,' +
  'ja-jp,ko-kr,ms-my,nb-no,nl-nl,pl-pl,pt-br,pt-pt,ro-ro,ru-ru,sv-se,ta-in,th-th,tr-tr,vi-vn,zh-cn,zh-hk'
const language = z.enum(LANGUAGES.split(','))
const voice = z.enum(['female', 'male'])

const Text = z.strictObject({
  originator: z.union([digits, shortCode, name]),
  recipients: z.array(digits).min(1).max(50),
  body: z
    .string()
    .min(1)
    .refine((text) => measureText(text).parts <= 9),
  datacoding: z.enum(['plain', 'unicode', 'auto']).default('plain'),
  reference: reference.optional(),
  reportUrl: url.optional(),
  validity: z.int().min(1).optional(),
})

const Call = z.strictObject({
  originator: digits,
  recipients: z.array(digits).min(1).max(50),
  body: z.string().min(1).max(1000),
  language: language.default('en-gb'),
  voice: voice.default('female'),
  repeat: z.int().min(1).max(10).default(1),
  ifMachine: z.enum(['continue', 'delay', 'hangup']).default('delay'),
  machineTimeout: z.int().min(400).max(10_000).optional(),
  reference: reference.optional(),
  reportUrl: url.optional(),
})

const Verification = z.strictObject({
  recipient: digits,
  originator: z.union([digits, shortCode, name]).default('Code'),
  type: z.enum(['sms', 'flash', 'tts']).default('sms'),
  template: z.string().includes('%token').max(160).default('Your code is: %token'),
  reference: reference.optional(),
  timeout: z.int().min(30).max(172_800).default(30),
  tokenLength: z.int().min(6).max(10).default(6),
  datacoding: z.enum(['plain', 'unicode', 'auto']).default('plain'),
  voice: voice.optional(),
  language: language.optional(),
})

interface Started {
  status: 'sent' | 'expired' | 'failed' | 'verified' | 'deleted'
  token: string
  tries: number
  timeout: number
}

export type FakeMessagebird = FakeContract & {
  /** verifications by id */
  started: Map<string, Started>
  /** what `GET /messages/{id}` tells, by id; calls apart from texts */
  statuses: { messages: Map<string, object>; voicemessages: Map<string, object> }
}

/** The classic REST API: messages, voice messages, verifications and the balance. */
export function fakeMessagebird(): FakeMessagebird {
  let count = 0
  const started: FakeMessagebird['started'] = new Map()
  const statuses: FakeMessagebird['statuses'] = { messages: new Map(), voicemessages: new Map() }

  function answer(request: FakeRequest): FakeReply {
    const { method, path, query, headers, body } = request
    if (headers.authorization !== `AccessKey ${ACCESS_KEY}`)
      return refuse(401, 2, 'access_key', 'Request not allowed (incorrect access_key)')
    if (query.has('access_key')) return refuse(401, 2, 'access_key', 'key in the address')
    if (method === 'GET') return read(path, query)
    if (method !== 'POST' || query.size > 0) return refuse(404, 98, null, 'not found')
    if (!/^application\/json(;|$)/.test(headers['content-type'] ?? ''))
      return refuse(422, 21, null, 'content type')
    const json = jsonOf(body)
    if (path === '/messages') return take(Text, json, text)
    if (path === '/voicemessages') return take(Call, json, call)
    if (path === '/verify') return take(Verification, json, verification)
    return refuse(404, 98, null, 'not found')
  }

  function read(path: string, query: URLSearchParams): FakeReply {
    const [, kind, id = ''] =
      /^\/(balance|messages|voicemessages|verify)(?:\/(\w+))?$/.exec(path) ?? []
    if (kind === 'balance')
      return { status: 200, body: { payment: 'prepaid', type: 'euros', amount: 12.5 } }
    if (kind === 'messages' || kind === 'voicemessages') {
      const item = statuses[kind].get(id)
      if (!item) return { status: 404, body: errors(20, null, 'message not found') }
      return { status: 200, body: { id, recipients: { totalCount: 1, items: [item] } } }
    }
    if (kind === 'verify') return judged(id, query.get('token') ?? '')
    return refuse(404, 98, null, 'not found')
  }

  function judged(id: string, token: string): FakeReply {
    const one = started.get(id)
    if (!one) return { status: 404, body: errors(20, null, 'verify object could not be found') }
    if (token !== '' && one.status === 'sent') {
      one.tries += 1
      if (token === one.token) one.status = 'verified'
      else {
        if (one.tries >= 3) one.status = 'failed'
        return { status: 422, body: errors(10, 'token', 'The token is invalid.') }
      }
    }
    return { status: 200, body: { id, recipient: 46701740605, status: one.status } }
  }

  function text(sent: z.infer<typeof Text>): FakeReply {
    const plain = sent.datacoding === 'plain'
    return taken('messages', sent, {
      channel: 'sms',
      text: plain ? [...sent.body].map(asGsm).join('') : sent.body,
    })
  }

  function call(sent: z.infer<typeof Call>): FakeReply {
    // Tags are for the voice, and an ampersand begins what is none.
    const heard = sent.body.replace(/<[^>]*>|&\w*;?/g, '')
    return taken('voicemessages', sent, {
      channel: 'voice',
      text: Array(sent.repeat).fill(heard).join(' '),
    })
  }

  function taken(
    kind: 'messages' | 'voicemessages',
    sent: z.infer<typeof Text> | z.infer<typeof Call>,
    { channel, text }: Pick<FakeMessage, 'channel' | 'text'>,
  ): FakeReply {
    const id = (++count).toString(16).padStart(32, 'f')
    const [recipient = ''] = sent.recipients
    const item = { recipient: Number(recipient), status: channel === 'sms' ? 'sent' : 'calling' }
    return {
      status: 201,
      body: {
        id,
        href: `https://rest.messagebird.com/${kind}/${id}`,
        originator: sent.originator,
        body: sent.body,
        reference: sent.reference ?? null,
        recipients: { totalCount: 1, totalSentCount: 1, items: [item] },
      },
      message: {
        ...{ channel, text, to: `+${recipient}`, sender: senderOf(sent.originator) },
        ...{ reference: sent.reference ?? null, providerId: id, reportUrl: sent.reportUrl ?? null },
      },
    }
  }

  function verification(sent: z.infer<typeof Verification>): FakeReply {
    const id = `15498233759288aaf929661v${(++count).toString().padStart(8, '0')}`
    const token = String(count * 7919).padStart(sent.tokenLength, '1')
    started.set(id, { status: 'sent', token, tries: 0, timeout: sent.timeout })
    const kind = sent.type === 'tts' ? 'voicemessages' : 'messages'
    return {
      status: 201,
      body: {
        id,
        href: `https://rest.messagebird.com/verify/${id}`,
        recipient: Number(sent.recipient),
        reference: sent.reference ?? null,
        messages: { href: `https://rest.messagebird.com/${kind}/c2bbd563759288aaf962910b56023756` },
        status: 'sent',
      },
      message: {
        channel: sent.type === 'tts' ? 'voice' : 'sms',
        to: `+${sent.recipient}`,
        text: token,
        sender: senderOf(sent.originator),
        reference: sent.reference ?? null,
        providerId: id,
        reportUrl: null,
      },
    }
  }

  return { basePath: '', answer, started, statuses }
}

function take<Schema extends z.ZodType>(
  schema: Schema,
  json: unknown,
  send: (sent: z.infer<Schema>) => FakeReply,
): FakeReply {
  const { success, data, error } = schema.safeParse(json)
  if (success) return send(data)
  const [issue] = error.issues
  const parameter = String(issue?.path[0] ?? 'body')
  return refuse(422, 10, parameter, `${parameter}: ${issue?.message}`)
}

const asGsm = (character: string) => (measureText(character).encoding === 'gsm-7' ? character : '?')

/** Numbers are shown with a plus, short codes and names as they are. */
const senderOf = (originator: string) =>
  /^\d{7,}$/.test(originator) ? `+${originator}` : originator

function refuse(status: number, code: number, parameter: string | null, fault: string): FakeReply {
  return { status, body: errors(code, parameter, fault), fault }
}

export function errors(code: number, parameter: string | null, description = 'as documented') {
  return { errors: [{ code, description, parameter }] }
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
