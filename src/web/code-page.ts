import type { CodeOutcome } from '../metrics.ts'
import type { GuessOutcome } from '../second-factor/guess-parts.ts'
import type { OpenChallenge } from '../second-factor/look.ts'
import type { PageData } from './page-data.ts'

/** What is wrong with what was typed: a sentence for people, and a word for programs. */
export interface CodeError {
  sentence: string
  code: 'malformed' | 'wrong' | 'used' | 'too-soon' | 'number-taken' | 'unusable' | 'not-judged'
}

/** What the page that asks for a code tells of the challenge itself, wherever it stands. */
export function codePage(
  view: OpenChallenge,
  length: number,
  error: CodeError | null,
  { callUrl }: { callUrl: string },
) {
  const { phone, channel, delivery, problem, rerouted, resendInSeconds, sendsLeft } = view
  const callable = view.canCall && view.asked === 'phone' && sendsLeft > 0
  return {
    phone,
    channel,
    delivery,
    problem,
    rerouted,
    resendInSeconds,
    sendsLeft,
    callUrl: callable ? callUrl : null,
    length,
    minutesLeft: Math.max(1, Math.ceil(view.secondsLeft / 60)),
    triesLeft: view.triesLeft,
    error: error?.sentence ?? null,
    errorCode: error?.code ?? null,
    /** whether it is worth looking again what became of it */
    live: view.asked === 'phone' && MOVING.has(delivery),
  } satisfies Partial<PageData['code']>
}

const MOVING: ReadonlySet<OpenChallenge['delivery']> = new Set([
  'sending',
  'accepted',
  'unconfirmed',
  'overdue',
])

/** With an error it is the request that was bad; a code that no gateway takes is our failure. */
export function statusOf(view: OpenChallenge, error: CodeError | null): number {
  if (error) return 400
  return view.asked === 'phone' && view.delivery === 'failed' && !view.problem ? 503 : 200
}

/** Outcomes of a guess that end what was asked for, or count as a try. */
export const COUNTED: Partial<Record<GuessOutcome['outcome'], CodeOutcome>> = {
  right: 'right',
  wrong: 'wrong',
  used: 'used',
}
