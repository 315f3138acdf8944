import type { ExportedAccount } from './account-export.ts'
import { PHONE_COLUMNS } from './csv.ts'
import { csvCell } from './formula.ts'

export type ExportFormat = 'csv' | 'jsonl'

/** Accounts as the lines of a file that `import` takes. */
export async function* exportLines(
  accounts: AsyncIterable<ExportedAccount>,
  format: ExportFormat,
  withPasswordHashes: boolean,
): AsyncGenerator<string> {
  if (format === 'csv') yield `${header(withPasswordHashes).join(',')}\n`
  for await (const account of accounts)
    yield format === 'csv' ? row(account, withPasswordHashes) : `${JSON.stringify(account)}\n`
}

function header(withPasswordHashes: boolean): string[] {
  const fixed = ['id', 'username', 'email', 'email_verified', 'name', 'disabled']
  const phones = PHONE_COLUMNS.flatMap((column) => [column, `${column}_verified`])
  return [...fixed, ...phones, ...(withPasswordHashes ? ['password_hash'] : [])]
}

function row(account: ExportedAccount, withPasswordHashes: boolean): string {
  const { id, username, email, email_verified, name, disabled, phones, password_hash } = account
  const numbers = PHONE_COLUMNS.flatMap((_, place) => {
    const phone = phones[place]
    return phone ? [phone.number, String(phone.verified)] : ['', '']
  })
  const fixed = [id, username, email ?? '', String(email_verified), name ?? '', String(disabled)]
  const cells = [...fixed, ...numbers, ...(withPasswordHashes ? [password_hash ?? ''] : [])]
  return `${cells.map(csvCell).join(',')}\n`
}
