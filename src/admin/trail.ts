import type { Accounts } from '../accounts/accounts.ts'
import type { Audit } from '../audit/audit.ts'
import type { AuditFilter, AuditPlace, FoundEvent } from '../audit/search.ts'
import { type Actor, accountOf, assertMay } from './permissions.ts'

export type Trail = ReturnType<typeof createTrail>

/** The audit trail, for those who may read it. */
export function createTrail({ audit, accounts }: { audit: Audit; accounts: Accounts }) {
  /** Usernames, by id, of the accounts that events name and that are still there. */
  async function namesIn(
    actor: Actor,
    events: readonly Pick<FoundEvent, 'account_id' | 'actor'>[],
  ): Promise<ReadonlyMap<string, string>> {
    assertMay(actor, 'people.read')
    const ids = events.flatMap((event) => [event.account_id, accountOf(event.actor)])
    return accounts.usernames([...new Set(ids.filter((id) => id !== null))])
  }

  return {
    /** Newest first. @param after the last event of the page before */
    search(actor: Actor, filter: AuditFilter, after: AuditPlace | undefined, limit: number) {
      assertMay(actor, 'audit.read')
      return audit.search(filter, after, limit)
    },

    /** @returns the name in the trail of whoever has this username and a role, or the words as they are */
    async actorOf(actor: Actor, words: string): Promise<string> {
      assertMay(actor, 'people.read')
      const account = await accounts.findByUsername(words)
      return account?.role ? `${account.role}:${account.id}` : words
    },

    /** @returns id of the account with this username, or the words as they are */
    async idOf(actor: Actor, words: string): Promise<string> {
      assertMay(actor, 'people.read')
      return (await accounts.findByUsername(words))?.id ?? words
    },

    /** @returns what to call those who did something: the username where there is one, or the words of the trail */
    async namer(actor: Actor, doers: readonly string[]): Promise<(doer: string) => string> {
      const named = doers.map((doer) => ({ actor: doer, account_id: null }))
      const names = await namesIn(actor, named)
      return (doer) => names.get(accountOf(doer) ?? '') ?? doer
    },

    namesIn,

    /** Oldest first, read as fast as it is taken. */
    export(actor: Actor, filter: AuditFilter) {
      assertMay(actor, 'audit.read')
      return audit.export(filter)
    },
  }
}
