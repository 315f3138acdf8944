import type { Accounts } from '../accounts/accounts.ts'
import type { AccountExport, ExportedAccount } from '../transfer/account-export.ts'
import type { Imports, NewImport } from '../transfer/imports.ts'
import type { ImportJob } from '../transfer/job.ts'
import type { PersonExport } from '../transfer/person-export.ts'
import { createOnAccount } from './on-account.ts'
import { type Actor, asActor, assertMay } from './permissions.ts'

export type Transfers = ReturnType<typeof createTransfers>

interface Dependencies {
  accounts: Accounts
  imports: Imports
  exportAccounts: AccountExport
  exportPerson: PersonExport
  /** has a started import worked off at once, where this instance is free */
  wake: () => void
}

/** Accounts by the thousand coming in, and what is kept about people going out. */
export function createTransfers(deps: Dependencies) {
  const { accounts, imports } = deps
  const { reading } = createOnAccount(accounts)

  /** Does something to an import, for whoever may import. */
  function importing<T>(actor: Actor, work: () => Promise<T>): Promise<T> {
    assertMay(actor, 'people.import')
    return asActor(actor, undefined, work)
  }

  return {
    /** @returns the id of an import that waits for its content */
    begin: (actor: Actor, wanted: NewImport): Promise<string> =>
      importing(actor, () => imports.begin(wanted)),

    /** @param seq of the piece, counted from 0 */
    append: (actor: Actor, id: string, seq: number, bytes: Buffer): Promise<void> =>
      importing(actor, () => imports.append(id, seq, bytes)),

    start: (actor: Actor, id: string): Promise<void> =>
      importing(actor, async () => {
        await imports.start(id)
        deps.wake()
      }),

    job: (actor: Actor, id: string): Promise<ImportJob> => importing(actor, () => imports.job(id)),

    list: (actor: Actor): Promise<ImportJob[]> => importing(actor, () => imports.list()),

    /** @param after line of the last one that was seen, or 0 */
    failures: (actor: Actor, id: string, after: number, limit: number) =>
      importing(actor, async () => {
        await imports.job(id)
        return imports.failures(id, { after, limit })
      }),

    /** What is written stays. @returns the import as it is then */
    cancel: (actor: Actor, id: string): Promise<ImportJob> =>
      importing(actor, async () => {
        await imports.cancel(id)
        return imports.job(id)
      }),

    /** Everything that is kept about one person (GDPR, article 15). */
    person: (actor: Actor, id: string) =>
      reading(actor, 'people.export', id, () =>
        asActor(actor, undefined, () => deps.exportPerson(id)),
      ),

    /** All accounts, without the hashes of their passwords (ADM-06). */
    async accounts(actor: Actor): Promise<AsyncGenerator<ExportedAccount>> {
      assertMay(actor, 'people.export')
      return asActor(actor, undefined, () => deps.exportAccounts())
    },
  }
}
