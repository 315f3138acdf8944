import type { Channel, Gateway } from '../gateway.ts'

const KEPT = 200

export interface OutboxMessage {
  to: string
  text: string
  channel: Channel
  /** ISO 8601 */
  sentAt: string
}

export interface Outbox extends Gateway {
  /** the last 200, oldest first */
  list(): OutboxMessage[]
}

/** The simulated phone of development: it keeps what it is sent, in memory, for a page to show. */
export function createOutbox(): Outbox {
  const kept: OutboxMessage[] = []
  return {
    name: 'outbox',
    channels: ['sms', 'voice'],
    async send({ to, text, channel }) {
      kept.push({ to, text, channel, sentAt: new Date().toISOString() })
      if (kept.length > KEPT) kept.shift()
      return { outcome: 'accepted', providerId: null }
    },
    async check() {
      return { ok: true, detail: 'messages stay in this process; nothing is sent to anyone' }
    },
    list: () => kept.map((message) => ({ ...message })),
  }
}
