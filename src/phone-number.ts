import {
  type CountryCode,
  isSupportedCountry,
  parsePhoneNumberWithError,
} from 'libphonenumber-js/max'

/** A number in E.164 that passed `parsePhoneNumber`; nothing else makes one. */
export type PhoneNumber = string & { readonly brand: 'PhoneNumber' }

export interface ParsedPhone {
  number: PhoneNumber
  /** ISO 3166 code, or null for numbers that belong to no country. */
  country: string | null
}

export type PhoneFault = 'not-a-number' | 'not-textable' | 'country-not-allowed'

/** Kinds that can receive a text without costing the person or us a premium. */
const TEXTABLE = new Set<string | undefined>(['MOBILE', 'FIXED_LINE_OR_MOBILE'])

/** Longest text worth parsing: E.164 has 15 digits, people add spaces, dashes and brackets. */
const MAX_INPUT = 32

/**
 * Reads a number as people write it and normalises it to E.164.
 *
 * @param input what was typed; national formats are understood only with `defaultCountry`
 * @param allowedCountries ISO codes that may be texted, or `'*'`
 * @returns the number, or why it can't be used: not a number, not a kind that gets texts (landline,
 *   premium, shared cost, satellite, pager), or a country that isn't allowed
 */
export function parsePhoneNumber(
  input: string,
  allowedCountries: ReadonlySet<string> | '*',
  defaultCountry?: string,
): ParsedPhone | { fault: PhoneFault } {
  const text = input.trim()
  if (text.length > MAX_INPUT || !/^[+\d(][\d\s().-]*$/.test(text)) return { fault: 'not-a-number' }
  const country = asCountry(defaultCountry)
  let parsed: ReturnType<typeof parsePhoneNumberWithError>
  try {
    parsed = parsePhoneNumberWithError(text, {
      extract: false,
      ...(country && { defaultCountry: country }),
    })
  } catch {
    return { fault: 'not-a-number' }
  }
  if (!parsed.isValid() || parsed.ext) return { fault: 'not-a-number' }
  if (!TEXTABLE.has(parsed.getType())) return { fault: 'not-textable' }
  if (!mayText(parsed.country ?? null, allowedCountries)) return { fault: 'country-not-allowed' }
  return { number: brand(parsed.number), country: parsed.country ?? null }
}

/** Whether policy lets us text numbers of this country. Numbers of no country are never texted. */
export function mayText(country: string | null, allowed: ReadonlySet<string> | '*'): boolean {
  if (country === null) return false
  return allowed === '*' || allowed.has(country)
}

export function asCountry(code: string | undefined): CountryCode | undefined {
  return code !== undefined && isSupportedCountry(code) ? code : undefined
}

/** A stored number was parsed before it was sealed; this only gives it its type back. */
export function brand(e164: string): PhoneNumber {
  if (!isPhoneNumber(e164)) throw new TypeError('not an E.164 number')
  return e164
}

function isPhoneNumber(text: string): text is PhoneNumber {
  return /^\+[1-9]\d{6,14}$/.test(text)
}

/** The block of ten thousand numbers that a number lies in. */
export function prefixOf(number: PhoneNumber): string {
  return number.slice(0, -4)
}

/** Shows only the last two digits, behind a mask of fixed length, so that it doesn't tell how long the number is. */
export function maskPhone(number: PhoneNumber): string {
  return `••• ••• ${number.slice(-2)}`
}
