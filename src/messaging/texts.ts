import { measureText } from './gsm7.ts'

export interface CodeText {
  brand: string
  /** the issuer's host name alone: no scheme, no port */
  host: string
  code: string
  minutes: number
}

/**
 * The text that carries a code: who sends it, what for, that it's nobody else's business, how long
 * it holds. The last line binds the code to our origin (WICG origin-bound one-time codes), so that
 * phones fill it in on our pages only. Nothing of the request enters it, and no link: a text that
 * others can write into, or that people learn to tap on, is a phishing tool.
 */
export function codeText({ brand, host, code, minutes }: CodeText): string {
  const unit = minutes === 1 ? 'minute' : 'minutes'
  return (
    `${brand}: ${code} is your sign-in code. Never share it with anyone. ` +
    `It expires in ${minutes} ${unit}.\n\n@${host} #${code}`
  )
}

/** Whether the longest text we could send with this brand and host is a single GSM-7 part. */
export function fitsOnePart(brand: string, host: string): boolean {
  const longest = codeText({ brand, host, code: '0'.repeat(8), minutes: 10 })
  const { encoding, parts } = measureText(longest)
  return encoding === 'gsm-7' && parts === 1
}
