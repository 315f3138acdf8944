import type { Account, Accounts } from '../accounts/accounts.ts'
import type { Config } from '../config/config.ts'
import { Refusal } from '../errors.ts'
import type { ParsedPhone } from '../phone-number.ts'
import { readPhone } from '../second-factor/phone-input.ts'
import type { Phone } from '../second-factor/phones.ts'

/** @throws Refusal when nobody has this username */
export async function findAccount(accounts: Accounts, username: string): Promise<Account> {
  const account = await accounts.findByUsername(username)
  if (account) return account
  throw new Refusal('no_account', 404, `There is no account ${username}.`)
}

/** @throws Refusal saying in words why texts can't go to this number */
export function parsePhone(text: string, { sms, defaultCountry }: Config): ParsedPhone {
  return readPhone(text, { allowedCountries: sms.allowedCountries, defaultCountry })
}

/** A phone as programs read it. */
export function phoneAsJson({ id, number, verified, primary }: Phone) {
  return { id, number, verified, primary }
}

/** A phone in one line, its number in full: this is an admin's tool. */
export function describePhone({ number, verified, primary }: Phone): string {
  return `${number} (${verified ? 'verified' : 'not verified'}${primary ? ', primary' : ''})`
}
