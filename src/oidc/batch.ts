import type { PlainEvent } from '../audit/event.ts'
import type { Logout } from './logouts.ts'
import type { PendingRecord } from './sealed-records.ts'

/** All that one request writes, in one statement: all of it or, but for revocations, nothing. */
export interface Batch {
  upserts: readonly PendingRecord[]
  destroyed: readonly Buffer[]
  /** records that may be used once, and must not have been */
  consumed: readonly Buffer[]
  /** records that what is written was derived from, and that must still be there */
  required: readonly Buffer[]
  /** records that must be as they were read: who decides first about a device decides alone */
  unchanged: ReadonlyArray<{ key: Buffer; sealed: Buffer }>
  revokedGrants: readonly Buffer[]
  /** what is recorded with it */
  events: readonly PlainEvent[]
  /** what apps are to be told */
  logouts: readonly Logout[]
  /** whether the grants are revoked because something that may be used once was used again */
  reused: boolean
}

export const NOTHING: Batch = {
  upserts: [],
  destroyed: [],
  consumed: [],
  required: [],
  unchanged: [],
  revokedGrants: [],
  events: [],
  logouts: [],
  reused: false,
}

/** Whether all that is written is the beginning of a sign-in. */
export function beginsOnly({ upserts, ...rest }: Batch): boolean {
  return (
    upserts.every(({ model }) => model === 'Interaction') &&
    Object.values(rest).every((part) => part === false || (part !== true && part.length === 0))
  )
}

/** Whether it may be stored by a statement that stores several: it takes nothing back, and what it deletes it holds. */
export function isPlain(batch: Batch): boolean {
  const { consumed, destroyed, required, revokedGrants, unchanged, logouts, reused } = batch
  const rare = revokedGrants.length + unchanged.length + logouts.length > 0 || reused
  const ended = destroyed.some((key) => consumed.some((one) => one.equals(key)))
  return consumed.length + required.length > 0 && !rare && !ended && !deletesUnheld(batch)
}

/**
 * What a statement depends on: of keys, how many there are, since PostgreSQL then knows it too and looks for each by
 * its index, also in a table that it knows nothing of yet; of the rest, whether there is any.
 */
export type Shape = Record<'consumed' | 'required' | 'destroyed' | 'revoked', number> &
  Record<'unchanged' | 'beside' | 'upserts' | 'events' | 'logouts' | 'reused', boolean> & {
    /** whether it deletes what isn't held by then, and so may have to wait for somebody else */
    deletesUnheld: boolean
  }

/** Above it, any number of keys is alike: each is looked for in a list. */
export const FEW = 4

export function shapeOf(batch: Batch, beside: readonly string[]): Shape {
  const few = (keys: readonly unknown[]) => Math.min(keys.length, FEW + 1)
  return {
    consumed: few(batch.consumed),
    required: few(batch.required),
    destroyed: few(batch.destroyed),
    revoked: few(batch.revokedGrants),
    unchanged: batch.unchanged.length > 0,
    beside: beside.length > 0,
    upserts: batch.upserts.length > 0,
    events: batch.events.length > 0,
    logouts: batch.logouts.length > 0,
    reused: batch.reused,
    deletesUnheld: deletesUnheld(batch),
  }
}

/** What is required is held. */
function deletesUnheld({ destroyed, required, revokedGrants }: Batch): boolean {
  const isHeld = (key: Buffer) => required.some((one) => one.equals(key))
  return revokedGrants.length > 0 || !destroyed.every(isHeld)
}
