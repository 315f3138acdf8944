import { z } from 'zod'
import type { GatewayCheck, RecipientFault } from '../gateway.ts'
import { requestJson } from '../http.ts'
import type { Answer, Refusal } from '../judge.ts'

/** What MessageBird's messages and verifications have in common. */
export interface MessagebirdAccess {
  /** e.g. `https://rest.messagebird.com` */
  baseUrl: string
  /** `live_…`, or `test_…`, with which nothing is sent */
  accessKey: string
}

export function createMessagebirdApi({ baseUrl, accessKey }: MessagebirdAccess) {
  const base = baseUrl.replace(/\/+$/, '')
  const headers = { authorization: `AccessKey ${accessKey}` }
  const get = (path: string, signal: AbortSignal) =>
    requestJson({ method: 'GET', url: `${base}${path}`, headers }, signal)

  return {
    get,
    post: (path: string, body: object, signal: AbortSignal) =>
      requestJson({ method: 'POST', url: `${base}${path}`, headers, body }, signal),

    /** Asks for the account's balance: that needs nothing but a key that works. */
    async check(signal: AbortSignal): Promise<GatewayCheck> {
      const result = await get('/balance', signal)
      if (result.kind !== 'answer') return { ok: false, detail: `no answer: ${result.detail}` }
      const { status, json, fault } = result
      if (status === 401) return { ok: false, detail: 'the access key was refused' }
      if (status !== 200) return { ok: false, detail: `unexpected answer: http ${status}` }
      const balance = Balance.safeParse(json)
      if (!balance.success)
        return { ok: false, detail: `not a balance: ${fault ?? 'unrecognised'} body` }
      const { amount, type } = balance.data
      return { ok: true, detail: 'the access key works', credit: `${amount} ${type}` }
    },
  }
}

const Balance = z.object({ amount: z.number(), type: z.string().regex(/^[a-z]{1,20}$/i) })

/** Its notation of numbers has no plus; names stay as they are. */
export const asDigits = (number: string): string => number.replace(/^\+/, '')

const Errors = z.object({
  errors: z
    .array(
      z.object({
        code: z.number(),
        parameter: z.string().nullish().catch(undefined),
        description: z.string().nullish().catch(undefined),
      }),
    )
    .nonempty(),
})

type ApiError = z.infer<typeof Errors>['errors'][number]

/** The first of the errors that an answer tells of. */
export function apiErrorOf({ json }: Answer): ApiError | undefined {
  return Errors.safeParse(json).data?.errors[0]
}

/** What an answer other than 2xx says of a message; undefined where its status alone tells. */
export function messagebirdRefusal(answer: Answer): Refusal | undefined {
  if (answer.status === 401) return { failure: 'config', detail: 'unauthorised' }
  const error = apiErrorOf(answer)
  if (!error || answer.status === 429) return undefined
  switch (error.code) {
    case 2:
      return { failure: 'config', detail: 'error 2' }
    case 9:
      return { failure: 'recipient', detail: 'error 9', ...(isTrial(error) && { elsewhere: true }) }
    case 10:
      return { failure: classOf(error.parameter), detail: 'error 10' }
    case 20:
    case 98:
      return { failure: 'config', detail: `error ${error.code}` }
    case 21:
      return { failure: 'content', detail: 'error 21' }
    case 25:
      return { failure: 'quota', detail: 'error 25' }
    case 99:
      return { failure: 'transient', detail: 'error 99' }
    default:
      return undefined
  }
}

/** A trial account reaches its owner's number alone, and says so by the error for a wrong number. */
function isTrial({ description }: ApiError): boolean {
  return /test period|own number/i.test(description ?? '')
}

/** Whose fault an invalid parameter is. */
function classOf(parameter: string | null | undefined): Refusal['failure'] {
  switch (parameter) {
    case 'recipient':
    case 'recipients':
      return 'recipient'
    case 'originator':
      return 'sender'
    case 'access_key':
    case 'reportUrl':
      return 'config'
    default:
      return 'content'
  }
}

/**
 * What its status codes say of a number. Most are of networks and say nothing that lasts.
 * @see https://docs.bird.com "SMS platform extended error codes"
 */
export function recipientFaultOf(statusErrorCode: string): {
  failure?: 'recipient'
  fault?: RecipientFault
} {
  switch (statusErrorCode) {
    // Unknown or unidentified subscriber.
    case '1':
    case '5':
      return { failure: 'recipient' }
    case '13':
      return { failure: 'recipient', fault: 'barred' }
    // They answered STOP.
    case '103':
      return { failure: 'recipient', fault: 'opted-out' }
    default:
      return {}
  }
}

/** Its voices, by the languages of our pages. */
export const VOICES: Readonly<Record<string, string>> = {
  da: 'da-dk',
  de: 'de-de',
  en: 'en-gb',
  es: 'es-es',
  fr: 'fr-fr',
  it: 'it-it',
  ja: 'ja-jp',
  nb: 'nb-no',
  nl: 'nl-nl',
  pl: 'pl-pl',
  pt: 'pt-pt',
  sv: 'sv-se',
  tr: 'tr-tr',
  zh: 'zh-cn',
}
