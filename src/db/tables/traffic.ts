import type { BigInt8 } from './int8.ts'

export interface SendTrafficTable {
  country: string
  /** number of its five minutes, counted from 1970 */
  slot: BigInt8
  /** texts and calls of these five minutes */
  sends: number
  /** how many of them came to a right code, whenever it was typed */
  passes: number
}

/** Kept for longer than `send_traffic`, to know what is usual. */
export interface SendDayTable {
  country: string
  /** number of the day (UTC), counted from 1970 */
  day: BigInt8
  /** right codes of texts and calls that were sent on it */
  passes: number
}

export interface SendAlertTable {
  /** as in `budget-hour-80`, `paused-DK`, or `prefix-` and a fingerprint */
  name: string
  /** until when it isn't raised again */
  until: Date
}
