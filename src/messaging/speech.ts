import { ENGLISH, type Language } from '../languages/language.ts'

/** A pause between two digits is long enough to write one down. */
const BETWEEN_DIGITS_MS = 400
const BETWEEN_PARTS_MS = 1000

export type SpeechPart = { say: string } | { digits: readonly string[] } | { pauseMs: number }

/** What a call says, in no gateway's notation. */
export interface Speech {
  /** BCP 47 */
  language: string
  parts: readonly SpeechPart[]
}

/** The code, said digit by digit and twice. Like the text, it holds nothing that a visitor wrote. */
export function codeSpeech({
  brand,
  code,
  language = ENGLISH,
}: {
  brand: string
  code: string
  language?: Pick<Language, 'say' | 'tag'>
}): Speech {
  const digits = [...code]
  return {
    language: language.tag,
    parts: [
      { say: language.say('call.code', { brand }) },
      { pauseMs: BETWEEN_PARTS_MS },
      { digits },
      { pauseMs: BETWEEN_PARTS_MS },
      { say: language.say('call.again') },
      { pauseMs: BETWEEN_PARTS_MS },
      { digits },
      { pauseMs: BETWEEN_PARTS_MS },
      { say: language.say('call.caution') },
    ],
  }
}

/** For gateways that take words alone: commas are what makes them pause. */
export function asPlainText({ parts }: Speech): string {
  return parts
    .flatMap((part) => {
      if ('say' in part) return [part.say]
      return 'digits' in part ? [`${part.digits.join(', ')}.`] : []
    })
    .join(' ')
}

/**
 * TwiML, which Telnyx calls TeXML.
 * @param attributes of each `Say`, such as `language`
 */
export function asTwiml({ parts }: Speech, attributes: Readonly<Record<string, string>>): string {
  const written = Object.entries(attributes).map(([name, value]) => ` ${name}="${escaped(value)}"`)
  const say = (text: string) => `<Say${written.join('')}>${escaped(text)}</Say>`
  const body = parts.map((part) => {
    if ('say' in part) return say(part.say)
    // One by one, or they might be read as a number.
    if ('digits' in part) return say(part.digits.join(', '))
    return `<Pause length="${Math.ceil(part.pauseMs / 1000)}"/>`
  })
  return `<?xml version="1.0" encoding="UTF-8"?><Response>${body.join('')}</Response>`
}

export function asSsml({ parts }: Speech): string {
  const pause = (ms: number) => `<break time="${ms}ms"/>`
  const body = parts.map((part) => {
    if ('say' in part) return escaped(part.say)
    if ('digits' in part) return part.digits.map(escaped).join(pause(BETWEEN_DIGITS_MS))
    return pause(part.pauseMs)
  })
  return `<speak>${body.join('')}</speak>`
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
