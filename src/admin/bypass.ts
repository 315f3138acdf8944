import type { Accounts } from '../accounts/accounts.ts'
import { Refusal } from '../errors.ts'
import type { BypassCodes } from '../second-factor/bypass-codes.ts'
import { createOnAccount } from './on-account.ts'
import type { Actor } from './permissions.ts'

export type Bypass = ReturnType<typeof createBypass>

interface Dependencies {
  accounts: Accounts
  bypassCodes: BypassCodes
}

/** Codes that the help desk hands to someone whose phone is out of reach. */
export function createBypass({ accounts, bypassCodes }: Dependencies) {
  const { onAccount, reading } = createOnAccount(accounts)

  return {
    list: (actor: Actor, id: string) =>
      reading(actor, 'people.read', id, () => bypassCodes.list(id)),

    /** @returns the code, readable only now */
    issue: (actor: Actor, id: string, reason: string) =>
      onAccount(actor, 'people.help', id, reason, () => bypassCodes.issue(id)),

    /** A second admin's consent, where it takes one: of a person, since one may have several programs. */
    async approve(actor: Actor, id: string, codeId: string, reason?: string): Promise<void> {
      if (actor.kind === 'client')
        throw new Refusal('own_approval', 403, 'A code is approved by a person, not by a program.')
      await onAccount(actor, 'bypass.approve', id, reason, () => bypassCodes.approve(id, codeId))
    },

    end: (actor: Actor, id: string, codeId: string): Promise<void> =>
      onAccount(actor, 'people.help', id, undefined, () => bypassCodes.end(id, codeId)),
  }
}
