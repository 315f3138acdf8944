import type { DeliveryState } from '../gateway.ts'
import { asTwiml, type Speech } from '../speech.ts'

/**
 * How long it rings. A code is nothing to leave in a mailbox, and many take over after 20 seconds or more; when this
 * one does can't be known.
 */
export const RING_SECONDS = 20

/** The speech takes half a minute; past this somebody forgot to hang up, at our expense. */
export const CALL_SECONDS = 120

/** What Twilio says of a call, and Telnyx in the same words. That it was completed means that it was answered. */
export const CALL_STATES: ReadonlyMap<string, DeliveryState> = new Map([
  ['queued', 'accepted'],
  ['initiated', 'accepted'],
  ['ringing', 'sending'],
  ['answered', 'sent'],
  ['in-progress', 'sent'],
  ['completed', 'delivered'],
  ['busy', 'failed'],
  ['no-answer', 'failed'],
  ['failed', 'failed'],
  ['canceled', 'failed'],
])

/** What the voice `alice` speaks both at Twilio and at Telnyx, by our own tags. */
export const LOCALES: Readonly<Record<string, string>> = {
  da: 'da-DK',
  de: 'de-DE',
  en: 'en-GB',
  es: 'es-ES',
  fr: 'fr-FR',
  it: 'it-IT',
  ja: 'ja-JP',
  nb: 'nb-NO',
  nl: 'nl-NL',
  pl: 'pl-PL',
  pt: 'pt-PT',
  sv: 'sv-SE',
}

/** @param locales of the voice `alice` by our tags; without one of the speech's own it's spoken as English */
export function asAliceSays(speech: Speech, locales: Readonly<Record<string, string>>): string {
  const own = Object.hasOwn(locales, speech.language) ? locales[speech.language] : undefined
  return asTwiml(speech, { voice: 'alice', language: own ?? 'en-GB' })
}
