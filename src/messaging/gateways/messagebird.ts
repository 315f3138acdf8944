import { z } from 'zod'
import type { Gateway, OutgoingMessage, SendResult } from '../gateway.ts'
import { type Answer, asProviderId, judge } from '../judge.ts'
import { asPlainText, type Speech } from '../speech.ts'
import {
  asDigits,
  createMessagebirdApi,
  type MessagebirdAccess,
  messagebirdRefusal,
  VOICES,
} from './messagebird-api.ts'
import { messagebirdReport, readMessagebirdReport } from './messagebird-reports.ts'

export interface MessagebirdSettings extends MessagebirdAccess {
  /** of its reports; several while one takes over from another */
  signingKeys: readonly string[]
}

/** MessageBird's classic REST API: texts, and calls that read a text aloud. */
export function createMessagebird(settings: MessagebirdSettings): Gateway {
  const { signingKeys } = settings
  const api = createMessagebirdApi(settings)

  return {
    name: 'messagebird',
    can: {
      channels: ['sms', 'voice'],
      voiceLanguages: Object.keys(VOICES),
      senderKinds: ['name', 'number'],
      validity: { minSeconds: 1, maxSeconds: 172_800 },
      encoding: 'by-gateway',
      // Nine parts of UCS-2.
      maxTextLength: 603,
      idempotent: false,
      sandbox: true,
    },

    async send(message, signal) {
      const { sender, channel } = message
      const fits = channel === 'sms' ? sender !== null : sender?.startsWith('+')
      if (sender === null || !fits)
        return { outcome: 'refused', failure: 'sender', detail: 'no-sender' }
      const [path, content] = contentOf(message)
      const body = {
        recipients: [asDigits(message.to)],
        originator: asDigits(sender),
        reference: message.reference,
        ...(message.reportUrl !== null && { reportUrl: message.reportUrl }),
        ...content,
      }
      return judge(await api.post(path, body, signal), accepted, messagebirdRefusal)
    },

    check: api.check,

    ...(signingKeys.length > 0 && {
      reports: {
        addressed: 'message',
        read: (callback) => readMessagebirdReport(signingKeys, callback),
      },
    }),

    async poll(providerId, signal) {
      // An id doesn't tell which of the two it is of.
      for (const kind of ['messages', 'voicemessages']) {
        const result = await api.get(`/${kind}/${encodeURIComponent(providerId)}`, signal)
        if (result.kind !== 'answer') return null
        if (result.status === 404) continue
        const told = result.status === 200 && Message.safeParse(result.json).data?.recipients
        return told ? messagebirdReport(told.items[0], providerId) : null
      }
      return null
    },
  }
}

function contentOf(message: OutgoingMessage): [path: string, content: object] {
  if (message.channel === 'sms') {
    const { text: body, validitySeconds: validity } = message
    // By default letters that GSM-7 lacks would become others.
    return ['/messages', { body, validity, datacoding: 'auto' }]
  }
  const { speech } = message
  return [
    '/voicemessages',
    {
      body: spoken(speech),
      language: VOICES[speech.language] ?? VOICES.en,
      voice: 'female',
      // A code has no business on an answering machine.
      ifMachine: 'hangup',
    },
  ]
}

/** It takes tags for pauses and the like out of the words, so nothing may look like one. */
function spoken(speech: Speech): string {
  return asPlainText(speech).replace(/[<>&\s]+/g, ' ')
}

const Sent = z.object({ id: z.string() })

function accepted({ json }: Answer): SendResult | undefined {
  const { success, data } = Sent.safeParse(json)
  return success ? { outcome: 'accepted', providerId: asProviderId(data.id) } : undefined
}

const Message = z.object({
  recipients: z.object({
    items: z.tuple(
      [
        z.object({
          status: z.string(),
          statusErrorCode: z.union([z.string(), z.number()]).nullish(),
        }),
      ],
      z.unknown(),
    ),
  }),
})
