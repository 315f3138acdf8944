/** What codes and messages of one slot came to, by the way they went. */
export interface DeliveryStatTable {
  /** seconds of the slot: 300, 3600 or 21600 */
  span: number
  /** its beginning */
  slot: Date
  /** empty where none was tried */
  gateway: string
  /** empty where it isn't known */
  country: string
  /** empty where none was tried */
  channel: string
  /** codes that were first sent, or would have been, in this slot: by the gateway that most likely carried them */
  asked: number
  /** a gateway took them */
  sent: number
  /** a gateway reported that they were delivered */
  delivered: number
  /** they were typed right */
  passed: number
  /** messages of this slot, notices included */
  messages: number
  /** those a gateway took */
  accepted: number
  /** those it reported as delivered */
  arrived: number
  /** those it refused, or took and couldn't deliver */
  failed: number
  /** those that cost something, and the parts they are billed for */
  billed: number
  parts: number
  /** passed codes by how long they took: see `TIME_BOUNDS` */
  times: number[]
}

export interface EventStatTable {
  span: number
  slot: Date
  /** of the audit event, or one of the figures' own */
  type: string
  /** a word of ours; empty where the type says it all */
  cause: string
  events: number
}

/** How far the figures are; one row. */
export interface RollUpTable {
  id: number
  /** up to when the audit trail was read */
  seen_until: Date
  /** when one of the instances goes on */
  next_at: Date
}
