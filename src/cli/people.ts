import type { Account, Accounts } from '../accounts/accounts.ts'
import type { Config } from '../config/config.ts'
import { Refusal } from '../errors.ts'
import { type ParsedPhone, type PhoneFault, parsePhoneNumber } from '../phone-number.ts'
import type { Phone } from '../second-factor/phones.ts'

/** @throws Refusal when nobody has this username */
export async function findAccount(accounts: Accounts, username: string): Promise<Account> {
  const account = await accounts.findByUsername(username)
  if (account) return account
  throw new Refusal('no_account', 404, `There is no account ${username}.`)
}

/** @throws Refusal saying in words why texts can't go to this number */
export function parsePhone(text: string, config: Config): ParsedPhone {
  const { allowedCountries } = config.sms
  const parsed = parsePhoneNumber(text, allowedCountries, config.defaultCountry)
  if (!('fault' in parsed)) return parsed
  throw phoneRefusal(text, parsed.fault, allowedCountries === '*')
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

/** A phone as programs read it. */
export function phoneAsJson({ id, number, verified, primary }: Phone) {
  return { id, number, verified, primary }
}

/** A phone in one line, its number in full: this is an admin's tool. */
export function describePhone({ number, verified, primary }: Phone): string {
  return `${number} (${verified ? 'verified' : 'not verified'}${primary ? ', primary' : ''})`
}
