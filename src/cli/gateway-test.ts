import { type Command, InvalidArgumentError } from 'commander'
import { type Config, ConfigError, readConfig, type Secrets } from '../config/config.ts'
import { environment } from '../config/environment.ts'
import { GATEWAY_NAMES, isGatewayName } from '../config/gateway-rules.ts'
import { databaseClock as clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { createLog } from '../log.ts'
import type { Channel } from '../messaging/gateway.ts'
import { createOutbox } from '../messaging/gateways/outbox.ts'
import { createOrders, namesOf } from '../messaging/orders.ts'
import { createOutgoing, type Wanted } from '../messaging/outgoing.ts'
import { createGateway, type GatewayEntry } from '../messaging/registry.ts'
import { createReports } from '../messaging/reports.ts'
import { createSenders } from '../messaging/senders.ts'
import { createTrials, type TrialStep } from '../messaging/trials.ts'
import { createMetrics } from '../metrics.ts'
import { maskPhone, type ParsedPhone } from '../phone-number.ts'
import { askGateway, callbackOf, checkInWords, ordersOf } from './gateway-checks.ts'
import { judgeTrial, stepInWords } from './gateway-words.ts'
import { type Outcome, perform } from './output.ts'
import { parsePhone } from './people.ts'
import { onDatabase } from './session.ts'

const WAIT_SECONDS = 60
const LONGEST_WAIT_SECONDS = 900

interface Options {
  call?: boolean
  wait: number
  json?: boolean
}

export function addGatewayTest(noun: Command): void {
  const command = noun
    .command('test')
    .description('send a test message by one gateway and follow it to its report')
    .argument('<name>', 'as in SMS_GATEWAYS; it needs its settings, but no place in an order')
    .argument('<number>', 'your own, as +4520123456')
    .option('--call', 'call, in place of a text')
    .option(
      '--wait <seconds>',
      'how long a delivery report is waited for',
      readSeconds,
      WAIT_SECONDS,
    )
  perform(
    command,
    'gateway test telnyx +4520123456',
    async (name: string, number: string, { call = false, wait, json = false }: Options) => {
      const { config } = readConfig(environment())
      const channel = call ? 'voice' : 'sms'
      const { entry, secrets } = findGateway(name, channel)
      const tell = json ? () => {} : (line: string) => process.stdout.write(`${line}\n`)
      const to = parsePhone(number, config)
      return tryOut({ config, secrets, entry, channel, to, waitSeconds: wait, tell })
    },
  )
}

function readSeconds(text: string): number {
  const seconds = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN
  if (seconds <= LONGEST_WAIT_SECONDS) return seconds
  throw new InvalidArgumentError(`It must be a number from 0 to ${LONGEST_WAIT_SECONDS}.`)
}

/** @throws Refusal naming what it lacks: it is looked at as if it were the only gateway there is */
function findGateway(name: string, channel: Channel): { entry: GatewayEntry; secrets: Secrets } {
  if (!isGatewayName(name)) {
    const known = GATEWAY_NAMES.join(', ')
    throw new Refusal('gateway', 404, `There is no gateway ${JSON.stringify(name)}, only ${known}.`)
  }
  const alone = { SMS_GATEWAYS: name, VOICE_GATEWAYS: channel === 'voice' ? name : '' }
  try {
    const { secrets } = readConfig({ ...environment(), ...alone, SMS_ROUTES: '' })
    return { entry: createGateway(name, secrets.gateways, createOutbox()), secrets }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const faults = error.faults.map(({ variable, problem }) => `  ${variable} ${problem}`)
    const [asked, where] =
      channel === 'voice'
        ? ['call', 'SMS_GATEWAYS and VOICE_GATEWAYS']
        : ['send texts', 'SMS_GATEWAYS']
    const sentence = [
      `${name} can't ${asked} as it is set up. With it in ${where}:`,
      ...faults,
    ].join('\n')
    throw new Refusal('gateway_settings', 409, sentence)
  }
}

interface Trial {
  config: Config
  secrets: Secrets
  entry: GatewayEntry
  channel: Channel
  to: ParsedPhone
  waitSeconds: number
  /** for a person who watches */
  tell: (line: string) => void
}

async function tryOut(trial: Trial): Promise<Outcome> {
  const { config, secrets, entry, channel, to, waitSeconds, tell } = trial
  const { name, reports } = entry.gateway
  const heard = reports !== undefined && namesOf(ordersOf(config)).some((used) => used === name)
  tell(`${channel === 'voice' ? 'calling' : 'texting'} ${maskPhone(to.number)} by ${name}`)
  const check = await askGateway(entry)
  tell(`checked   ${checkInWords(check)}`)
  const steps: TrialStep[] = []
  await onDatabase(config, secrets, async (db) => {
    const sending = trialsOf(db, trial).send(entry, messageOf(trial), { waitSeconds, heard })
    for await (const step of sending) {
      steps.push(step)
      tell(stepInWords(step))
    }
  })
  const { result, well, sentence } = judgeTrial(config, entry, { steps, waitSeconds, heard })
  const callback = reports ? callbackOf(config, name) : null
  const said = { gateway: name, channel, to: maskPhone(to.number), check, callback }
  return {
    json: { ...said, steps: steps.map(stepAsJson), result, well, sentence },
    text: well ? `${result.padEnd(9)} ${sentence}` : result,
    ...(!well && { note: sentence, refused: true }),
  }
}

/** A step without the message's id at the gateway, by which codes are judged. */
function stepAsJson(step: TrialStep) {
  if (step.step !== 'answered' || step.result.outcome !== 'accepted') return step
  return { ...step, result: { outcome: 'accepted', providerId: step.result.providerId !== null } }
}

function trialsOf(db: Db, { config, entry }: Trial) {
  const { sms, brand } = config
  const nothing = { texts: [], routes: new Map(), calls: [] }
  return createTrials({
    db,
    clock,
    compose: createOutgoing({
      senders: createSenders({
        chosen: sms.sender,
        brandName: brand.name,
        numericCountries: sms.numericCountries,
      }),
      reportUrl: (gateway) => callbackOf(config, gateway),
    }),
    reports: createReports({
      db,
      clock,
      orders: createOrders(nothing, [entry]),
      metrics: createMetrics(),
      log: createLog('silent', false),
    }),
  })
}

/** Harmless words without a code, but for gateways that know nothing else. */
function messageOf({ config, entry, channel, to }: Trial): Wanted {
  const { brand, otp } = config
  const words = (what: string) => `${brand.name}: this is a test ${what}. You need not do anything.`
  return {
    to: to.number,
    country: to.country,
    content:
      channel === 'sms'
        ? { channel, text: words('message') }
        : { channel, speechIn: () => ({ language: 'en', parts: [{ say: words('call') }] }) },
    language: 'en',
    codeLength: entry.gateway.judge ? otp.length : null,
    expiresInSeconds: otp.ttlSeconds,
  }
}
