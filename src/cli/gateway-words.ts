import type { Config } from '../config/config.ts'
import { UNDELIVERED } from '../messaging/delivery-states.ts'
import type { Refused, SendResult } from '../messaging/gateway.ts'
import type { GatewayEntry } from '../messaging/registry.ts'
import type { TrialRules, TrialStep } from '../messaging/trials.ts'
import { callbackOf, reportsProblem } from './gateway-checks.ts'

/** What a trial came to. */
interface Ending {
  result: 'delivered' | 'accepted' | 'undelivered' | 'refused' | 'unknown' | 'not tried'
  /** accepted, and not reported as undelivered */
  well: boolean
  /** what that means, and what to look at */
  sentence: string
}

type Moved = Extract<TrialStep, { step: 'moved' }>

/** One line, for a person who watches. */
export function stepInWords(step: TrialStep): string {
  switch (step.step) {
    case 'resting':
      return 'waiting   it is left alone because it failed; its turn comes within a minute'
    case 'answered':
      return `handed    ${answerInWords(step.result)}, after ${step.seconds.toFixed(1)} s`
    case 'moved':
      return `report    ${stateInWords(step)}, by ${step.by}, after ${step.seconds.toFixed(1)} s`
  }
}

function answerInWords(result: SendResult): string {
  switch (result.outcome) {
    case 'accepted': {
      const id = result.providerId === null ? 'without an id' : 'with an id'
      return `accepted, ${id} to know it by`
    }
    case 'unknown':
      return `no readable answer (${result.detail}): it may have been sent`
    case 'refused':
      return `refused: ${refusalInWords(result)}`
  }
}

function refusalInWords({ failure, detail, httpStatus }: Refused): string {
  const status = httpStatus === undefined ? '' : `, http ${httpStatus}`
  return `class ${failure}, ${detail}${status}`
}

function stateInWords({ state, failure, fault, code }: Moved): string {
  const why = [failure, fault, code && `code ${code}`].filter((word) => word !== null)
  return why.length > 0 ? `${state} (${why.join(', ')})` : state
}

export function judgeTrial(
  config: Config,
  entry: GatewayEntry,
  { steps, waitSeconds, heard }: TrialRules & { steps: readonly TrialStep[] },
): Ending {
  const { name, judge } = entry.gateway
  const answer = steps.find((step) => step.step === 'answered')
  if (!answer) {
    const sentence = `${name} failed and is left alone, and its turn did not come within ${waitSeconds} s. See \`gateway list\`, and try again.`
    return { result: 'not tried', well: false, sentence }
  }
  const { result } = answer
  if (result.outcome === 'refused') {
    const sentence = `${name} refused it: ${refusalInWords(result)}. docs/troubleshooting.md says what helps.`
    return { result: 'refused', well: false, sentence }
  }
  const last = steps.findLast((step) => step.step === 'moved')
  if (last?.state === 'delivered') {
    const sentence = `${name} reported it delivered after ${last.seconds.toFixed(1)} s.`
    return { result: 'delivered', well: true, sentence }
  }
  if (last && UNDELIVERED.has(last.state)) {
    const sentence = `${name} took it, and reported: ${stateInWords(last)}.`
    return { result: 'undelivered', well: false, sentence }
  }
  const taken = result.outcome === 'accepted' || last !== undefined
  const outcome = { result: taken ? 'accepted' : 'unknown', well: taken } as const
  if (judge && taken)
    return { ...outcome, sentence: `${name} sent a code of its own, good for nothing here.` }
  const none = taken ? '' : `It may have been sent, for ${name} gave no readable answer. `
  const sofar = last
    ? `No report of its end came within ${waitSeconds} s; the last one said ${last.state}.`
    : `${none}No delivery report came.`
  return { ...outcome, sentence: `${sofar} ${whereToLook(config, entry, { waitSeconds, heard })}` }
}

/** Why no report may have come, and what to do about it. */
function whereToLook(
  config: Config,
  entry: GatewayEntry,
  { waitSeconds, heard }: TrialRules,
): string {
  const { name, reports, poll } = entry.gateway
  const problem = reportsProblem(config, entry)
  if (problem !== undefined) return `For ${name}, ${problem}.`
  if (!reports && !poll) return `${name} tells nothing of deliveries: look at the phone.`
  if (!reports) return `${name} was asked for ${waitSeconds} s: look at the phone.`
  if (!heard)
    return `The server takes reports only of gateways that SMS_GATEWAYS, SMS_ROUTES or VOICE_GATEWAYS name; ${name} is in none.`
  const callback = callbackOf(config, name)
  const told =
    reports.addressed === 'message'
      ? `${name} was told to report to ${callback}`
      : `See that ${callback} is entered at ${name} as the address for delivery reports`
  return `${told}. \`doctor\` looks whether that address answers.`
}
