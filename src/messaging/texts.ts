import { ENGLISH, type Language } from '../languages/language.ts'
import { measureText } from './gsm7.ts'

export interface CodeText {
  brand: string
  /** the issuer's host name alone: no scheme, no port */
  host: string
  code: string
  minutes: number
  /** whether it is for an admin who sets the number, to be read out, and not for a page */
  aloud?: boolean
  /** of the page that asked for it */
  language?: Pick<Language, 'say'>
}

/**
 * The text that carries a code: who sends it, what for, that it's nobody else's business, how long
 * it holds. The last line binds the code to our origin (WICG origin-bound one-time codes), so that
 * phones fill it in on our pages only. Nothing of the request enters it, and no link: a text that
 * others can write into, or that people learn to tap on, is a phishing tool.
 */
export function codeText(text: CodeText): string {
  const { brand, host, code, minutes, aloud = false, language = ENGLISH } = text
  const words = aloud
    ? language.say('text.phoneCheck', { brand, code })
    : language.say('text.code', { brand, code, minutes })
  return `${words}\n\n@${host} #${code}`
}

/**
 * Whether the longest text we could send with this brand and host takes no more parts than the language's
 * catalogue allows. A single part means GSM-7: in UCS-2 no sentence would fit.
 */
export function fitsParts(brand: string, host: string, language: Language = ENGLISH): boolean {
  return [false, true].every((aloud) => {
    const longest = codeText({ brand, host, code: '0'.repeat(8), minutes: 10, aloud, language })
    return measureText(longest).parts <= language.textParts
  })
}
