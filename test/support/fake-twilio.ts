import type { FakeContract, FakeReply, FakeRequest } from './fake-gateway.ts'

export const TWILIO_ACCOUNT = `AC${'a1'.repeat(16)}`
export const TWILIO_TOKEN = 'f3c1d27a9b4e48d0'
export const TWILIO_API_KEY = { sid: `SK${'b2'.repeat(16)}`, secret: 'Zq8vTn3LxR5wKc0P' }
export const TWILIO_SERVICE = `MG${'c3'.repeat(16)}`

const TEXT_SID = `SM${'d4'.repeat(16)}`
const CALL_SID = `CA${'e5'.repeat(16)}`

const NUMBER = /^\+[1-9]\d{6,14}$/
const SENDER = /^(\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$/
const from = (min: number, max: number) => (value: string) =>
  /^\d{1,6}$/.test(value) && Number(value) >= min && Number(value) <= max

/** Every field that is used here, and what it takes. */
const TEXT_FIELDS: Record<string, (value: string) => boolean> = {
  To: (value) => NUMBER.test(value),
  From: (value) => SENDER.test(value),
  MessagingServiceSid: (value) => value === TWILIO_SERVICE,
  Body: (value) => value.length > 0 && value.length <= 1600,
  StatusCallback: isCallbackUrl,
  ValidityPeriod: from(1, 36_000),
  ContentRetention: (value) => value === 'retain' || value === 'discard',
}

const CALL_FIELDS: Record<string, (value: string) => boolean> = {
  To: (value) => NUMBER.test(value),
  From: (value) => NUMBER.test(value),
  Twiml: (value) => value.length <= 4000 && heard(value, TWILIO_LOCALES) !== null,
  StatusCallback: isCallbackUrl,
  Timeout: from(1, 600),
  TimeLimit: from(1, 14_400),
}

/** What its voice `alice` speaks. */
const TWILIO_LOCALES =
  'da-DK de-DE en-AU en-CA en-GB en-IN en-US ca-ES es-ES es-MX fi-FI fr-CA fr-FR it-IT ja-JP ko-KR nb-NO nl-NL pl-PL pt-BR pt-PT ru-RU sv-SE zh-CN zh-HK zh-TW'.split(
    ' ',
  )

/** Twilio's 2010 API: texts, calls, and the account's money. */
export const fakeTwilio: FakeContract = {
  basePath: '',
  answer(request) {
    const base = `/2010-04-01/Accounts/${TWILIO_ACCOUNT}`
    if (!request.path.startsWith(`${base}/`)) return refusal(404, 20404)
    if (!isKnown(request.headers.authorization)) return refusal(401, 20003)
    const route = `${request.method} ${request.path.slice(base.length)}`
    switch (route) {
      case 'GET /Balance.json':
        return {
          status: 200,
          body: { account_sid: TWILIO_ACCOUNT, balance: '12.5', currency: 'EUR' },
        }
      case `GET /Messages/${TEXT_SID}.json`:
        return { status: 200, body: { sid: TEXT_SID, status: 'delivered', error_code: null } }
      case `GET /Calls/${CALL_SID}.json`:
        return { status: 200, body: { sid: CALL_SID, status: 'no-answer' } }
      case 'POST /Messages.json':
        return takeText(request)
      case 'POST /Calls.json':
        return takeCall(request)
      default:
        return { ...refusal(404, 20404), fault: `no such call: ${route}` }
    }
  },
}

function takeText(request: FakeRequest): FakeReply {
  const fields = readForm(request, TEXT_FIELDS)
  if (typeof fields === 'string') return { ...refusal(400, 20001), fault: fields }
  const { To = '', From, MessagingServiceSid, Body = '', StatusCallback } = fields
  if (!To || !Body || (From === undefined) === (MessagingServiceSid === undefined))
    return { ...refusal(400, 21603), fault: 'To, Body, and one of From and MessagingServiceSid' }
  return {
    status: 201,
    body: { sid: TEXT_SID, status: 'queued', error_code: null, num_segments: '1', body: Body },
    message: {
      channel: 'sms',
      to: To,
      text: Body,
      sender: From ?? null,
      reference: referenceIn(StatusCallback),
      providerId: TEXT_SID,
      reportUrl: StatusCallback ?? null,
    },
  }
}

function takeCall(request: FakeRequest): FakeReply {
  const fields = readForm(request, CALL_FIELDS)
  if (typeof fields === 'string') return { ...refusal(400, 20001), fault: fields }
  const { To = '', From = '', Twiml = '', StatusCallback } = fields
  if (!To || !From || !Twiml) return { ...refusal(400, 21201), fault: 'To, From and Twiml' }
  return {
    status: 201,
    body: { sid: CALL_SID, status: 'queued', to: To, from: From },
    message: {
      channel: 'voice',
      to: To,
      text: heard(Twiml, TWILIO_LOCALES) ?? '',
      sender: From,
      reference: referenceIn(StatusCallback),
      providerId: CALL_SID,
      reportUrl: StatusCallback ?? null,
    },
  }
}

/** @returns the fields, or what is wrong with them */
function readForm(
  { headers, body, query }: FakeRequest,
  known: typeof TEXT_FIELDS,
): Record<string, string> | string {
  if (!/^application\/x-www-form-urlencoded\b/.test(headers['content-type'] ?? ''))
    return `content type ${headers['content-type']}`
  if (query.size > 0) return 'a query'
  const form = [...new URLSearchParams(body)]
  if (new Set(form.map(([name]) => name)).size !== form.length) return 'a field twice'
  const wrong = form.find(([name, value]) => !known[name]?.(value))
  return wrong ? `field ${wrong.join('=')}` : Object.fromEntries(form)
}

function isKnown(authorization = ''): boolean {
  const given = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString()
  const { sid, secret } = TWILIO_API_KEY
  return given === `${TWILIO_ACCOUNT}:${TWILIO_TOKEN}` || given === `${sid}:${secret}`
}

function refusal(status: number, code: number): FakeReply {
  const more_info = `https://www.twilio.com/docs/errors/${code}`
  return { status, body: { code, message: 'No.', more_info, status } }
}

function isCallbackUrl(value: string): boolean {
  const url = URL.parse(value)
  return url?.protocol === 'https:' && !url.hostname.includes('_')
}

export function referenceIn(url: string | undefined): string | null {
  return URL.parse(url ?? '')?.searchParams.get('ref') ?? null
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** What a call would hear of TwiML that says and pauses, and no more; null for anything else. */
export function heard(twiml: string, locales: readonly string[]): string | null {
  const [, inside] =
    /^<\?xml version="1\.0" encoding="UTF-8"\?><Response>(.*)<\/Response>$/s.exec(twiml) ?? []
  if (inside === undefined) return null
  const said: string[] = []
  const verb =
    /^(?:<Say voice="alice" language="([\w-]+)">((?:[^<>&]|&(?:amp|lt|gt|quot|apos);)+)<\/Say>|<Pause length="\d{1,2}"\/>)/
  let rest = inside
  while (rest !== '') {
    const found = verb.exec(rest)
    if (!found) return null
    const [whole, language, words] = found
    if (language !== undefined && !locales.includes(language)) return null
    if (words !== undefined)
      said.push(words.replace(/&(\w+);/g, (_, name: string) => ENTITIES[name] ?? ''))
    rest = rest.slice(whole.length)
  }
  return said.join(' ')
}
