import { Refusal } from '../errors.ts'
import type { SendOutcome } from '../second-factor/challenges.ts'

/**
 * @param gone what is refused where there is nothing to send any more
 * @throws Refusal when nothing could be sent, saying why
 */
export function assertSent(outcome: SendOutcome, gone: Refusal): void {
  if (outcome === 'sent') return
  if (outcome === 'ended') throw gone
  if (outcome === 'no-sends-left') {
    const sentence = 'This code was sent as often as it may be. Wait until it has expired.'
    throw new Refusal('no_sends_left', 429, sentence)
  }
  if ('refused' in outcome) {
    const sentence = `Nothing was sent: ${outcome.refused.replaceAll('-', ' ')}. See the limits.`
    throw new Refusal(`not_sent_${outcome.refused}`, 429, sentence, outcome.waitSeconds)
  }
  const sentence = 'It was sent a moment ago. Wait before you send it again.'
  throw new Refusal('too_soon', 429, sentence, outcome.waitSeconds)
}
