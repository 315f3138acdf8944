import { type RawBuilder, sql } from 'kysely'
import type { MessageState } from '../db/tables/messaging.ts'

/** How far each state is. A report moves a message forwards alone, and of two ends delivery is the truer one. */
const RANKS: Record<MessageState, number> = {
  trying: 0,
  refused: 1,
  unknown: 1,
  accepted: 2,
  sending: 3,
  sent: 4,
  unconfirmed: 5,
  expired: 6,
  failed: 6,
  rejected: 6,
  delivered: 7,
}

const rankOf = (state: RawBuilder<unknown>) =>
  sql`(${JSON.stringify(RANKS)}::jsonb ->> (${state})::text)::int`

/** Whether a message may go from its state to another, in a statement on `message`. */
export function isForward(to: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`${rankOf(sql`message.state`)} < ${rankOf(to)}`
}

/** The state a message has after hearing of another. */
export function stepForward(to: RawBuilder<unknown>): RawBuilder<MessageState> {
  return sql<MessageState>`case when ${isForward(to)} then (${to})::text else message.state end`
}

/** States in which nothing more is expected, and the person has nothing. */
export const UNDELIVERED: ReadonlySet<MessageState> = new Set(['expired', 'failed', 'rejected'])
