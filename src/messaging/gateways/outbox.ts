import { languageTags } from '../../languages/languages.ts'
import type { Channel, Gateway } from '../gateway.ts'
import { asPlainText } from '../speech.ts'

const KEPT = 200

export interface OutboxMessage {
  to: string
  text: string
  channel: Channel | 'mail'
  /** ISO 8601 */
  sentAt: string
  /** of mails alone */
  subject?: string
}

export interface Outbox extends Gateway {
  /** Keeps a mail beside the messages. */
  keepMail(mail: { to: string; subject: string; text: string }): void
  /** the last 200, oldest first */
  list(): OutboxMessage[]
}

/** The simulated phone of development: it keeps what it is sent, in memory, for a page to show. */
export function createOutbox(): Outbox {
  const kept: OutboxMessage[] = []

  function keep(message: Omit<OutboxMessage, 'sentAt'>): void {
    kept.push({ ...message, sentAt: new Date().toISOString() })
    if (kept.length > KEPT) kept.shift()
  }

  return {
    name: 'outbox',
    can: {
      channels: ['sms', 'voice'],
      voiceLanguages: languageTags(),
      senderKinds: [],
      validity: null,
      encoding: 'by-gateway',
      maxTextLength: 2000,
      idempotent: false,
      sandbox: true,
    },
    async send(message) {
      const { to, channel } = message
      keep({ to, channel, text: channel === 'sms' ? message.text : asPlainText(message.speech) })
      return { outcome: 'accepted', providerId: null }
    },
    async check() {
      return { ok: true, detail: 'messages stay in this process; nothing is sent to anyone' }
    },
    keepMail: ({ to, subject, text }) => keep({ to, text, channel: 'mail', subject }),
    list: () => kept.map((message) => ({ ...message })),
  }
}
