import type { DeliveryReport, DeliveryState } from '../gateway.ts'
import { asCode, stateIn } from '../judge.ts'

/** A text has at most 255 parts, of 67 letters where they aren't GSM-7. */
export const LONGEST_TEXT = 255 * 67

/** The words are the same in both APIs; `READ` is of the newer one alone. */
const STATES: ReadonlyMap<string, DeliveryState> = new Map([
  // What messages start as: nothing is known yet, so this isn't the end that `unconfirmed` is.
  ['UNKNOWN', 'accepted'],
  ['SCHEDULED', 'accepted'],
  ['BUFFERED', 'sending'],
  ['ENROUTE', 'sending'],
  // By the carrier, which tells nothing more.
  ['ACCEPTED', 'sent'],
  ['DELIVERED', 'delivered'],
  ['READ', 'delivered'],
  ['EXPIRED', 'expired'],
  ['UNDELIVERABLE', 'failed'],
  ['DELETED', 'failed'],
  ['SKIPPED', 'failed'],
  ['REJECTED', 'rejected'],
])

type Reason = Pick<DeliveryReport, 'failure' | 'fault'>

/** Why it wasn't delivered, of the codes that leave no doubt. */
const REASONS: ReadonlyArray<[codes: readonly string[], reason: Reason]> = [
  [
    // Unknown or unidentified subscriber, or no destination that there is.
    ['0x1010', '0x1020', '0x1040', '0x1060', '0x1061', '0x1062', '0x1084'],
    { failure: 'recipient' },
  ],
  // Barred by the carrier, or by the person for texts.
  [['0x1011', '0x103c'], { failure: 'recipient', fault: 'barred' }],
  [['0x1033', '0x1065', '0x1066', '0x1067'], { failure: 'sender' }],
  [['0x1035', '0x1085', '0x1904'], { failure: 'content' }],
]

/** What a status comes to, with the code that says why. */
export function outcomeOf(
  status: string,
  code: string | null | undefined,
): Pick<DeliveryReport, 'state' | 'unheard' | 'failure' | 'fault' | 'code'> {
  const state = stateIn(STATES, status)
  if (!code) return state
  const reason = REASONS.find(([codes]) => codes.includes(code.toLowerCase()))?.[1]
  return { ...state, ...reason, code: asCode(code) }
}
