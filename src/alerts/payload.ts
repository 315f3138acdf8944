import { minuteText } from '../minute.ts'
import type { DueDelivery } from './outbox.ts'
import { inWords, stored } from './told.ts'

/** The body of a webhook; the same for each try. */
export function payloadOf({ type, created_at, alert }: DueDelivery): string {
  return JSON.stringify({
    type,
    timestamp: created_at.toISOString(),
    data: inWords(stored.parse(alert)),
  })
}

/** @param issuer where the pages are that the words name */
export function mailOf(
  { type, alert }: DueDelivery,
  { brand, issuer }: { brand: string; issuer: string },
): { subject: string; text: string } {
  const { title, whatToDo, raisedAt, endedAt } = inWords(stored.parse(alert))
  const over = type === 'alert.ended'
  const lines = [
    over ? `This is over: ${title}.` : `${title}.`,
    ...(over ? [] : [whatToDo]),
    `Since ${minuteText(raisedAt)}${endedAt ? `, until ${minuteText(endedAt)}` : ''}, at ${issuer}.`,
  ]
  return { subject: `${brand}: ${over ? 'over: ' : ''}${title}`, text: `${lines.join('\n\n')}\n` }
}
