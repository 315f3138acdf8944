import type { Account } from '../accounts/accounts.ts'
import type { Phone } from '../second-factor/phones.ts'
import { type Outcome, record, yesOrNo } from './output.ts'
import { describePhone, phoneAsJson } from './people.ts'

/** An account with all its phones, as most commands about one print it. */
export function accountOutcome(account: Account, phones: Phone[]): Outcome {
  const { id, username, name, email, emailVerified, disabled, role } = account
  return {
    json: { ...account, phones: phones.map(phoneAsJson) },
    text: record([
      ['id', id],
      ['username', username],
      ['name', name ?? '-'],
      ['e-mail', email ? `${email} (${emailVerified ? 'verified' : 'not verified'})` : '-'],
      ['role', role ?? '-'],
      ['disabled', yesOrNo(disabled)],
      ['phones', phones.map(describePhone).join(', ') || '-'],
    ]),
  }
}
