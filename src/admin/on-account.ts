import { noAccount } from '../accounts/account-records.ts'
import type { Account, Accounts } from '../accounts/accounts.ts'
import { type Actor, asActor, assertMay, assertMayTouch, type Permission } from './permissions.ts'

/** What every operation on an account begins with: whether there is one, and whether this actor may. */
export function createOnAccount(accounts: Pick<Accounts, 'findById'>) {
  async function find(actor: Actor, permission: Permission, id: string): Promise<Account> {
    // Before the look-up: whoever may not ask isn't told whether there is such an account.
    assertMay(actor, permission)
    const account = await accounts.findById(id)
    if (!account) throw noAccount()
    return account
  }

  return {
    /**
     * Does something to an account in the actor's name.
     * @throws Refusal when they may not, or there is no such account
     */
    async onAccount<T>(
      actor: Actor,
      permission: Permission,
      id: string,
      reason: string | undefined,
      work: (account: Account) => Promise<T>,
    ): Promise<T> {
      const account = await find(actor, permission, id)
      assertMayTouch(actor, account)
      return asActor(actor, reason, () => work(account))
    },

    /** Reads something of an account; one's own and those of higher roles may be read. */
    async reading<T>(
      actor: Actor,
      permission: Permission,
      id: string,
      work: (account: Account) => Promise<T>,
    ): Promise<T> {
      return work(await find(actor, permission, id))
    },
  }
}
