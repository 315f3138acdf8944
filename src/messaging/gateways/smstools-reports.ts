import { z } from 'zod'
import type {
  Callback,
  CallbackVerdict,
  DeliveryReport,
  DeliveryState,
  Gateway,
} from '../gateway.ts'
import { asCode, asProviderId, stateIn } from '../judge.ts'
import { jsonOf } from '../report-body.ts'
import { headerOf, hmac, isSignedByOne, isTimely, sameText } from '../signatures.ts'

interface ReportSettings {
  webhookSecrets: readonly string[]
  webhookPath?: string | undefined
}

/**
 * Its webhook is set for the account. The signature isn't in its own documentation, only in clients that check
 * one, so an account without it can have an address that nobody guesses instead.
 *
 * @returns undefined where neither is set up
 */
export function smstoolsReports({
  webhookSecrets,
  webhookPath,
}: ReportSettings): Gateway['reports'] {
  if (webhookSecrets.length > 0) {
    return { addressed: 'account', read: (callback) => readSigned(callback, webhookSecrets) }
  }
  if (webhookPath === undefined) return undefined
  return {
    addressed: 'account',
    read: (callback) => {
      const last = URL.parse(callback.url)?.pathname.split('/').at(-1) ?? ''
      return sameText(last, webhookPath) ? readBody(callback.body) : { refused: 'signature' }
    },
  }
}

function readSigned(callback: Callback, secrets: readonly string[]): CallbackVerdict {
  const header = headerOf(callback, 'x-smstools-signature') ?? ''
  const [, time, signature] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(header) ?? []
  if (time === undefined || signature === undefined) return { refused: 'signature' }
  const sign = (secret: string) => hmac('sha256', secret, [`${time}.`, callback.body], 'hex')
  if (!isSignedByOne(secrets, signature, sign)) return { refused: 'signature' }
  return isTimely(Number(time), callback.now) ? readBody(callback.body) : { refused: 'stale' }
}

const text = z.union([z.string(), z.number()]).transform(String)

const Event = z.object({ webhook_type: z.string(), message: z.unknown() })
const Events = z.union([z.array(Event), Event.transform((event) => [event])])

const Delivery = z.object({
  messageid: text,
  delivery_code: text,
  delivery_code_detail: text.nullish(),
})

function readBody(body: Buffer): CallbackVerdict {
  const events = Events.safeParse(jsonOf(body))
  if (!events.success) return { refused: 'malformed' }
  const reports: DeliveryReport[] = []
  for (const { webhook_type, message } of events.data) {
    if (webhook_type !== 'delivery_report') continue
    const report = asReport(message)
    if (!report) return { refused: 'malformed' }
    reports.push(report)
  }
  return { reports }
}

const STATES: ReadonlyMap<string, DeliveryState> = new Map([
  ['0', 'sent'],
  ['1', 'delivered'],
  ['2', 'failed'],
  ['3', 'sending'],
  ['4', 'rejected'],
  ['5', 'rejected'],
  ['9', 'unconfirmed'],
])

/** Of the codes that tell more, the one that says the number is at fault. */
const NO_SUCH_NUMBER = '10'

function asReport(message: unknown): DeliveryReport | undefined {
  const { data } = Delivery.safeParse(message)
  const providerId = asProviderId(data?.messageid)
  if (!data || providerId === null) return undefined
  const code = asCode(data.delivery_code)
  const detail = data.delivery_code_detail
  return {
    providerId,
    ...stateIn(STATES, code),
    ...(detail === NO_SUCH_NUMBER && { failure: 'recipient' }),
    code: detail ? `${code}.${asCode(detail)}` : code,
    key: `${providerId}:${code}`,
  }
}
