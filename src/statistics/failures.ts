import type { EventType } from '../audit/event.ts'
import { UNTRIED } from './event-figures.ts'

/** Something that kept people from signing in, or a message from arriving. */
export interface Failure {
  /** an audit event's type, and its reason where it has one, as in `code.not-sent/phone-limit` */
  cause: string
  /** in plain words */
  label: string
  count: number
}

/** What counts as a failure; those with reasons have a label for each, and one for those that come to be. */
const LABELS: Partial<Record<EventType | typeof UNTRIED, string | Record<string, string>>> = {
  'password.wrong': 'Wrong passwords',
  'password.locked': 'Names locked after wrong passwords',
  'code.wrong': 'Wrong codes',
  'code.refused': 'Codes typed after their sign-in was over',
  'codes.locked': 'Accounts locked after wrong codes',
  'codes.disabled': 'Accounts without a second factor until an admin acts',
  'code.not-sent': {
    '': 'Code not sent',
    'account-wait': 'Code not sent: the account must wait, since none was typed',
    'country-paused': 'Code not sent: the country is paused for strangers',
    'phone-limit': 'Code not sent: limit of the number in an hour',
    'phone-day-limit': 'Code not sent: limit of the number in a day',
    'address-limit': 'Code not sent: limit of the network address',
    'prefix-unanswered': 'Code not sent: strangers in the block of numbers typed none',
    'prefix-limit': 'Code not sent: limit of the block of numbers',
    'country-limit': 'Code not sent: limit of the country',
    'overall-limit': 'Code not sent: budget of an hour',
    'overall-day-limit': 'Code not sent: budget of a day',
  },
  [UNTRIED]: 'Code not sent: no gateway could be tried',
  'phone.sim-swapped': {
    '': 'SIM changed lately',
    refuse: 'Code not sent: SIM changed lately',
    alert: 'Code sent although the SIM changed lately',
  },
  'phone.unreachable': {
    '': 'Number takes no texts',
    'opted-out': 'Number takes no texts: its owner sent STOP',
    landline: 'Number takes no texts: a landline',
    barred: 'Number takes no texts: barred by its network',
  },
  'message.failed': {
    '': 'Message refused by a gateway',
    recipient: 'Message refused by a gateway: the number',
    sender: 'Message refused by a gateway: the sender',
    content: 'Message refused by a gateway: the text',
    config: 'Message refused by a gateway: our settings there',
    quota: 'Message refused by a gateway: no credit left',
    throttle: 'Message refused by a gateway: too many at once',
    transient: 'Message refused by a gateway: a fault of its own',
  },
  'message.unconfirmed': 'Gateway gave no answer: the message may have gone out',
  'message.undelivered': {
    '': 'Message taken by a gateway, not delivered',
    expired: 'Message taken by a gateway, not delivered in time',
    failed: 'Message taken by a gateway, delivery failed',
    rejected: 'Message taken by a gateway, then rejected',
  },
  'notice.failed': {
    '': 'Notice not sent',
    'too-many': 'Notice not sent: too many for one account',
    'country-not-allowed': 'Notice not sent: the country is not allowed',
  },
}

/** Those among counted events, the most frequent first. */
export function failuresOf(
  events: ReadonlyArray<{ type: string; cause: string; events: number }>,
): Failure[] {
  const labels: Readonly<Record<string, string | Record<string, string>>> = LABELS
  return events
    .flatMap(({ type, cause, events: count }) => {
      const known = labels[type]
      if (known === undefined) return []
      const label = typeof known === 'string' ? known : (known[cause] ?? `${known['']}: ${cause}`)
      return { cause: cause ? `${type}/${cause}` : type, label, count }
    })
    .toSorted((a, b) => b.count - a.count || (a.cause < b.cause ? -1 : 1))
}
