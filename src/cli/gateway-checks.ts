import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { Config, Secrets } from '../config/config.ts'
import { isLoopbackHost } from '../config/shapes.ts'
import type { GatewayCheck } from '../messaging/gateway.ts'
import { createOutbox } from '../messaging/gateways/outbox.ts'
import { requestJson } from '../messaging/http.ts'
import { namesOf, type OrderRules } from '../messaging/orders.ts'
import { createGateway, type GatewayEntry } from '../messaging/registry.ts'
import { attempt, type Check, failed, ok, warning } from './checks.ts'
import { explain } from './explain.ts'

const CALLBACK_TIMEOUT_MS = 2000
/** How much longer than its time-out a driver may take. */
const GRACE_MS = 500

/** With which variable a gateway's reports are told from forgeries; the others need none, or never report. */
const REPORT_VARIABLES: Partial<Record<string, string>> = {
  textbee: 'TEXTBEE_WEBHOOK_SECRET',
  messagebird: 'MESSAGEBIRD_SIGNING_KEY',
  bird: 'BIRD_WEBHOOK_SECRET',
  smstools: 'SMSTOOLS_WEBHOOK_SECRET (or SMSTOOLS_WEBHOOK_PATH)',
  telnyx: 'TELNYX_PUBLIC_KEY',
  'telnyx-verify': 'TELNYX_PUBLIC_KEY',
  gatewayapi: 'GATEWAYAPI_WEBHOOK_SECRET',
  vonage: 'VONAGE_SIGNATURE_SECRET',
}

export function ordersOf({ sms }: Config): OrderRules {
  return { texts: sms.gateways, routes: sms.routes, calls: sms.voiceGateways }
}

/** Every gateway that is used for anything. @throws Error where one lacks its settings */
export function entriesOf(config: Config, { gateways }: Secrets): GatewayEntry[] {
  const outbox = createOutbox()
  return namesOf(ordersOf(config)).map((name) => createGateway(name, gateways, outbox))
}

/** @param issuerAnswers settles when it's known whether a server answers there */
export async function checkGateways(
  config: Config,
  secrets: Secrets,
  issuerAnswers: Promise<boolean>,
): Promise<Check[]> {
  try {
    const checks = entriesOf(config, secrets).flatMap((entry) => [
      attempt(`gateway ${entry.gateway.name}`, () => checkGateway(entry)),
      checkReports(config, entry, issuerAnswers),
    ])
    return (await Promise.all(checks)).filter((check) => check !== undefined)
  } catch (error) {
    return [failed('gateways', explain(error))]
  }
}

async function checkGateway(entry: GatewayEntry): Promise<Check> {
  const name = `gateway ${entry.gateway.name}`
  const check = await askGateway(entry)
  return check.ok
    ? ok(name, withCredit(check))
    : failed(name, `${withCredit(check)}. Check its variables`)
}

/** Whether credentials and settings work; a driver that overlooks its signal must not hold up the rest. */
export function askGateway({ gateway, timeoutMs }: GatewayEntry): Promise<GatewayCheck> {
  const late = { ok: false, detail: 'no answer: time-out' }
  return Promise.race([
    gateway.check(AbortSignal.timeout(timeoutMs)),
    pause(timeoutMs + GRACE_MS, late, { ref: false }),
  ])
}

export function checkInWords(check: GatewayCheck): string {
  return `${check.ok ? 'ok' : 'FAILED'}: ${withCredit(check)}`
}

function withCredit({ detail, credit }: GatewayCheck): string {
  return credit === undefined ? detail : `${detail} (credit: ${credit})`
}

/** Where a gateway reports to. */
export function callbackOf({ issuer }: Config, gateway: string): string {
  return `${issuer}/webhooks/gateways/${gateway}`
}

/** What keeps a gateway from telling what became of messages; undefined where all is well, or it never tells. */
export function reportsProblem(config: Config, { gateway }: GatewayEntry): string | undefined {
  const { name, reports, poll } = gateway
  const callback = callbackOf(config, name)
  if (reports) {
    const { protocol, hostname } = new URL(callback)
    if (protocol === 'https:' && !isLoopbackHost(hostname)) return undefined
    return `reports can't arrive: ${callback} is not an https address that others can reach`
  }
  const variable = REPORT_VARIABLES[name]
  if (variable === undefined) return undefined
  const now = poll ? 'deliveries are only asked for' : 'nothing tells of deliveries'
  return `${now}: set ${variable}, and enter ${callback} at the gateway if it wants to know where to report`
}

async function checkReports(
  config: Config,
  entry: GatewayEntry,
  issuerAnswers: Promise<boolean>,
): Promise<Check | undefined> {
  const { name: gateway, reports } = entry.gateway
  const name = `reports ${gateway}`
  const answers = await issuerAnswers
  const problem =
    (reports && answers && (await callbackProblem(callbackOf(config, gateway)))) ||
    reportsProblem(config, entry)
  if (problem !== undefined) return warning(name, problem)
  return reports && ok(name, `${callbackOf(config, gateway)}${answers ? ' answers' : ''}`)
}

/** What our server answers to whoever isn't the gateway. */
const OurAnswer = z.union([
  z.strictObject({ error: z.enum(['unknown-gateway', 'signature', 'stale', 'malformed']) }),
  z.strictObject({ status: z.literal('ok') }),
])

async function callbackProblem(url: string): Promise<string | undefined> {
  const signal = AbortSignal.timeout(CALLBACK_TIMEOUT_MS)
  const answer = await requestJson({ method: 'GET', url }, signal)
  if (answer.kind !== 'answer') return `${url} doesn't answer (${answer.detail})`
  const ours = OurAnswer.safeParse(answer.json)
  if (!ours.success || ![200, 401, 404].includes(answer.status))
    return `${url} answers http ${answer.status}, and not as this server does: does the proxy in front pass it on?`
  if (answer.status !== 404) return undefined
  return `the server at ${url} doesn't use this gateway, or its reports: restart it with the same settings`
}
