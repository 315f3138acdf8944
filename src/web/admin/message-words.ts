import type { MessageState } from '../../db/tables/messaging.ts'
import type { ListedMessage } from '../../statistics/message-list.ts'

/** What became of a message, in a few words, and whether that is well. */
export const STATE_WORDS: Record<
  MessageState,
  { label: string; kind: '' | 'good' | 'warn' | 'bad' }
> = {
  trying: { label: 'being handed over', kind: '' },
  accepted: { label: 'taken by the gateway', kind: '' },
  sending: { label: 'on its way', kind: '' },
  sent: { label: 'sent to the network', kind: '' },
  delivered: { label: 'delivered', kind: 'good' },
  unconfirmed: { label: 'sent, no report', kind: 'warn' },
  unknown: { label: 'may have gone out', kind: 'warn' },
  refused: { label: 'refused by the gateway', kind: 'bad' },
  expired: { label: 'not delivered in time', kind: 'bad' },
  failed: { label: 'not delivered', kind: 'bad' },
  rejected: { label: 'rejected by the network', kind: 'bad' },
}

/** By class of failure, as gateway drivers tell them. */
const FAILURE_WORDS: Readonly<Record<string, string>> = {
  recipient: 'The number can’t be reached, or takes no texts.',
  sender: 'The sender isn’t allowed there: see SMS_SENDER and SMS_NUMERIC_COUNTRIES.',
  content: 'The gateway doesn’t let this text through: it may want the text registered.',
  config: 'The gateway refuses our key or settings: compare them with its portal.',
  quota: 'There is no credit left at the gateway: top it up.',
  throttle: 'Too many at once for the gateway.',
  transient: 'A fault of the gateway’s own, or of the way to it.',
}

const COST_WORDS: Record<ListedMessage['costClass'], string> = {
  free: 'free',
  low: 'low cost',
  medium: 'medium cost',
  high: 'high cost',
  unknown: 'no price',
}

/** A message as its page shows it. */
export function inWords(message: ListedMessage) {
  const { state, failure, channel, costClass, unasked } = message
  return {
    ...message,
    at: new Date(message.at),
    state: STATE_WORDS[state],
    why: whyOf(state, failure),
    channel: channel === 'voice' ? 'call' : 'text',
    costs: COST_WORDS[costClass],
    isNotice: message.challengeId === null,
    unasked,
  }
}

function whyOf(state: MessageState, failure: string | null): string | null {
  if (failure !== null) return FAILURE_WORDS[failure] ?? `Its reason is called ${failure}.`
  if (state === 'unknown') return 'The gateway gave no answer that can be read.'
  if (state === 'expired') return 'The phone was off or out of reach for too long.'
  return null
}
