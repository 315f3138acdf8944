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

export interface SendPauseTable {
  country: string
  since: Date
  /** when it ends, or ended */
  until: Date
  /** how many pauses in a row this is */
  times: number
  /** what it was paused for: so many sends, and so few right codes */
  sends: number
  passes: number
}

export interface SendAlertTable {
  /** as in `budget-hour-80`, or `prefix-` and a fingerprint */
  name: string
  /** until when it isn't raised again */
  until: Date
}
