import { Refusal } from '../errors.ts'
import { type ParsedPhone, type PhoneFault, parsePhoneNumber } from '../phone-number.ts'

/** Which numbers may be texted, and how those without a country code are read. */
export interface PhoneRules {
  allowedCountries: ReadonlySet<string> | '*'
  defaultCountry: string | undefined
}

/**
 * Reads a number that an admin gives, as at the command line or by the API.
 * @throws Refusal saying in words why texts can't go to it
 */
export function readPhone(text: string, rules: PhoneRules): ParsedPhone {
  const parsed = parsePhoneNumber(text, rules.allowedCountries, rules.defaultCountry)
  if (!('fault' in parsed)) return parsed
  throw phoneRefusal(text, parsed.fault, rules.allowedCountries === '*')
}

export function phoneRefusal(text: string, fault: PhoneFault, allCountries: boolean): Refusal {
  const words: Record<PhoneFault, string> = {
    'not-a-number':
      'is not a phone number. Write it with + and the country code, as in +45 20 12 34 56',
    'not-textable': "can't receive texts (landline, premium or special number)",
    'country-not-allowed': allCountries
      ? "belongs to no country (satellite or special service), and can't be texted"
      : "is in a country that SMS_ALLOWED_COUNTRIES doesn't allow",
  }
  return new Refusal('phone', 400, `${text} ${words[fault]}.`)
}
