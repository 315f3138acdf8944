import { createHmac } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import { type FakeGateway, startFakeGateway } from './fake-gateway.ts'
import { SMSTOOLS_ID, SMSTOOLS_SECRET, smstoolsContract } from './fake-smstools.ts'
import type { Answer } from './flow.ts'
import type { House } from './house.ts'

export const SMSTOOLS_WEBHOOK = 'smstools-webhook-secret'

/** A second gateway beside the house's textbee: it texts, calls, and reports by a signed webhook. */
export async function startSmstools(): Promise<{
  fake: FakeGateway
  env: Record<string, string>
}> {
  const fake = await startFakeGateway(smstoolsContract)
  const env = {
    SMSTOOLS_BASE_URL: fake.baseUrl,
    SMSTOOLS_CLIENT_ID: SMSTOOLS_ID,
    SMSTOOLS_CLIENT_SECRET: SMSTOOLS_SECRET,
    SMSTOOLS_WEBHOOK_SECRET: SMSTOOLS_WEBHOOK,
  }
  return { fake, env }
}

/** `delivery_code` of Smstools' reports. */
const CODES = { sent: '0', delivered: '1', failed: '2', rejected: '4' }

export interface ReportOptions {
  secret?: string
  /** seconds since 1970 */
  at?: number
  headers?: Record<string, string>
}

/** Sends a delivery report of Smstools to a house, rightly signed unless told otherwise. */
export function reportFrom(
  house: House,
  messageid: string,
  state: keyof typeof CODES,
  options?: ReportOptions,
): Promise<Response> {
  const message = { messageid, receiver: '46701234567', delivery_code: CODES[state] }
  const body = { webhook_id: 1, webhook_type: 'delivery_report', message }
  return callFrom(house, JSON.stringify(body), options)
}

/** Sends whatever Smstools could to a house, rightly signed unless told otherwise. */
export function callFrom(
  house: House,
  body: string,
  { secret = SMSTOOLS_WEBHOOK, at = Math.floor(Date.now() / 1000), headers }: ReportOptions = {},
): Promise<Response> {
  const v1 = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')
  return fetch(`${house.url}/webhooks/gateways/smstools`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-smstools-timestamp': String(at),
      'x-smstools-signature': `t=${at},v1=${v1}`,
      ...headers,
    },
    body,
  })
}

/** Looks again and again until a page says something, as its scripts do. */
export async function until(
  look: () => Promise<Answer>,
  said: string | RegExp,
  seconds = 15,
): Promise<Answer> {
  const pattern = typeof said === 'string' ? said : undefined
  let page = await look()
  for (const end = Date.now() + seconds * 1000; Date.now() < end; page = await look()) {
    if (pattern === undefined ? new RegExp(said).test(page.html) : page.html.includes(pattern))
      return page
    await pause(100)
  }
  throw new Error(`the page never said ${said}: ${page.html}`)
}

/** What a page tells of the message, in the word that its scripts compare. */
export const stateOf = ({ html }: Answer): string | undefined =>
  /data-state="([^"]+)"/.exec(html)?.[1]

/** Until nothing more is done about the messages of a gateway. */
export async function untilSettled({ db }: House, gateway: string): Promise<void> {
  const watched = db
    .selectFrom('message')
    .select('id')
    .where('gateway', '=', gateway)
    .where('watch_at', 'is not', null)
  await expect.poll(() => watched.execute(), { timeout: 15_000 }).toEqual([])
}
