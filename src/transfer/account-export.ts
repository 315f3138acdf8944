import { sql } from 'kysely'
import { commonForm } from '../accounts/passwords.ts'
import type { Audit } from '../audit/audit.ts'
import type { Db } from '../db/schema.ts'
import type { Phones } from '../second-factor/phones.ts'

export type AccountExport = ReturnType<typeof createAccountExport>

/** An account as it is exported, and can be imported again. */
export interface ExportedAccount {
  id: string
  username: string
  email: string | null
  email_verified: boolean
  name: string | null
  disabled: boolean
  /** the primary one first */
  phones: Array<{ number: string; verified: boolean }>
  /** only where asked for */
  password_hash?: string | null
}

const PAGE = 500

interface Dependencies {
  db: Db
  phones: Pick<Phones, 'open'>
  audit: Pick<Audit, 'record'>
}

type Row = Omit<ExportedAccount, 'phones' | 'password_hash'> & {
  password_hash: string | null
  created_exactly: string
}

export function createAccountExport({ db, phones, audit }: Dependencies) {
  async function phonesOf(ids: readonly string[]): Promise<Map<string, ExportedAccount['phones']>> {
    const rows = await db
      .selectFrom('phone')
      .select(['id', 'account_id', 'number', 'verified_at'])
      .where('account_id', '=', sql<string>`any(${ids}::text[])`)
      .where('pending', '=', false)
      .orderBy('is_primary', 'desc')
      .orderBy('position')
      .orderBy('created_at')
      .execute()
    const byAccount = new Map<string, ExportedAccount['phones']>()
    for (const row of rows) {
      const held = byAccount.get(row.account_id) ?? []
      held.push({ number: phones.open(row), verified: row.verified_at !== null })
      byAccount.set(row.account_id, held)
    }
    return byAccount
  }

  async function* read(withPasswordHashes: boolean): AsyncGenerator<ExportedAccount> {
    // As text: a Date would cut a time to milliseconds, and accounts between two pages would be lost.
    let after = { at: '-infinity', id: '' }
    for (;;) {
      const { rows } = await sql<Row>`
        select id, username, email, email_verified, name, disabled_at is not null as disabled, password_hash,
          created_at::text as created_exactly
        from account where (created_at, id) > (${after.at}::timestamptz, ${after.id})
        order by created_at, id limit ${PAGE}`.execute(db)
      const numbers = await phonesOf(rows.map(({ id }) => id))
      for (const { created_exactly: _, password_hash: hash, ...account } of rows) {
        const password_hash = hash === null ? null : commonForm(hash)
        yield {
          ...account,
          phones: numbers.get(account.id) ?? [],
          ...(withPasswordHashes && { password_hash }),
        }
      }
      const last = rows.at(-1)
      if (!last || rows.length < PAGE) return
      after = { at: last.created_exactly, id: last.id }
    }
  }

  /** All accounts in the order in which they were made, read page by page; the audit trail has it before the first. */
  return async function exportAccounts({
    withPasswordHashes = false,
  } = {}): Promise<AsyncGenerator<ExportedAccount>> {
    await audit.record({
      type: 'account.exported',
      detail: { all: true, hashes: withPasswordHashes },
    })
    return read(withPasswordHashes)
  }
}
