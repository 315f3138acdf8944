import type { Account, Role } from '../accounts/account.ts'
import { type AccountChanges, type AccountRecord, noAccount } from '../accounts/account-records.ts'
import type { AccountPlace, AccountSort, ListedAccount } from '../accounts/account-search.ts'
import type { Accounts, NewAccount } from '../accounts/accounts.ts'
import type { LinkMails, MadeLink } from '../accounts/link-mails.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import { Refusal } from '../errors.ts'
import { parsePhoneNumber } from '../phone-number.ts'
import type { Locks } from '../second-factor/locks.ts'
import type { PhoneChanges } from '../second-factor/phone-changes.ts'
import { type PhoneRules, readPhone } from '../second-factor/phone-input.ts'
import { createOnAccount } from './on-account.ts'
import { type Actor, asActor, assertMay, may } from './permissions.ts'

export type People = ReturnType<typeof createPeople>

export interface PeopleQuery {
  /** words of a name or an address, or a whole phone number */
  q?: string | undefined
  role?: Role | 'any' | undefined
  disabled?: boolean | undefined
  sort?: AccountSort | undefined
  after?: AccountPlace | undefined
  limit: number
}

/** Somebody an admin makes an account for: with a password, or else with a link by which one is chosen. */
export interface NewPerson extends Omit<NewAccount, 'role'> {
  /** as typed; it counts as unverified until a code that went to it was right (ADM-08) */
  phone?: string | undefined
}

interface Dependencies {
  accounts: Accounts
  locks: Locks
  linkMails: LinkMails
  phoneChanges: PhoneChanges
  fingerprint: Fingerprints
  phoneRules: PhoneRules
}

/** What is done to accounts at the admin's side, by the API and the console alike. */
export function createPeople(deps: Dependencies) {
  const { accounts, locks, linkMails, phoneChanges, phoneRules } = deps
  const { onAccount, reading } = createOnAccount(accounts)

  /** The account as it is after a change. */
  async function after({ id }: Account): Promise<AccountRecord> {
    const record = await accounts.record(id)
    if (!record) throw noAccount()
    return record
  }

  return {
    /** Finds people by words, by an exact number, or by what they are; what is typed may be either. */
    async search(actor: Actor, { q, ...query }: PeopleQuery): Promise<ListedAccount[]> {
      assertMay(actor, 'people.read')
      const phone = q && parsePhoneNumber(q, '*', phoneRules.defaultCountry)
      const found = phone && !('fault' in phone) ? phone.number : undefined
      return accounts.search({
        ...query,
        words: q,
        ...(found && { phone: deps.fingerprint('phone', found) }),
      })
    },

    /** @throws Refusal unless the actor may do something to the account */
    assertTouch: (actor: Actor, id: string): Promise<void> =>
      onAccount(actor, 'people.read', id, undefined, async () => {}),

    get: (actor: Actor, id: string): Promise<AccountRecord> =>
      reading(actor, 'people.read', id, after),

    /** @returns `invitation`: the link to hand over, where no password was given, and whether it is mailed, too */
    async create(
      actor: Actor,
      { phone, ...person }: NewPerson,
    ): Promise<{ account: AccountRecord; invitation: MadeLink | undefined }> {
      assertMay(actor, 'people.write')
      // Before the account, which a refused number must not leave behind.
      const parsed = phone === undefined ? undefined : readPhone(phone, phoneRules)
      return asActor(actor, undefined, async () => {
        const account = await accounts.create(person)
        if (parsed) {
          await phoneChanges.add(account.id, parsed, false).catch(async (error: unknown) => {
            await accounts.remove(account.id)
            throw error
          })
        }
        const invited = person.password === undefined
        return {
          account: await after(account),
          invitation: invited ? await linkMails.invite(account.id) : undefined,
        }
      })
    },

    /** @param ifVersion as it was read; undefined for whatever there is now */
    patch: (
      actor: Actor,
      id: string,
      changes: AccountChanges,
      ifVersion?: number,
      reason?: string,
    ) => onAccount(actor, 'people.write', id, reason, () => accounts.patch(id, changes, ifVersion)),

    /** A role above one's own can't be given either: only admins give any. */
    setRole: (actor: Actor, id: string, role: Role | null, reason: string) =>
      onAccount(actor, 'roles.write', id, reason, async (account) => {
        await accounts.setRole(id, role, { keepAdmin: true })
        return after(account)
      }),

    disable: (actor: Actor, id: string, reason: string) =>
      onAccount(actor, 'people.write', id, reason, async (account) => {
        await accounts.disable(id, { keepAdmin: true })
        return after(account)
      }),

    enable: (actor: Actor, id: string, reason: string) =>
      onAccount(actor, 'people.write', id, reason, async (account) => {
        await accounts.enable(id)
        return after(account)
      }),

    /** Erases everything about a person but the pseudonymous audit trail. */
    remove: (actor: Actor, id: string, reason: string): Promise<void> =>
      onAccount(actor, 'people.write', id, reason, async () => {
        await accounts.remove(id, { keepAdmin: true })
      }),

    /** What wrong passwords and codes have locked. */
    locks: (actor: Actor, id: string) => reading(actor, 'people.read', id, locks.look),

    /** @returns what had been locked */
    unlock: (actor: Actor, id: string, reason: string | undefined) =>
      onAccount(actor, 'people.help', id, reason, locks.lift),

    /**
     * Makes a link by which a password is chosen; the one before ends. Whoever holds it can become this person, so
     * the help desk has it mailed and never sees it.
     */
    invite: (actor: Actor, id: string, reason: string | undefined) =>
      onAccount(actor, 'people.help', id, reason, async ({ username, disabled, email }) => {
        if (disabled) {
          throw new Refusal('disabled', 409, `${username} is disabled. Enable the account first.`)
        }
        const sees = may(actor, 'people.write')
        if (!sees && (!linkMails.canMail || email === null)) {
          const sentence = 'It can’t be mailed, and only an admin may see it. Ask one.'
          throw new Refusal('not_mailed', 409, sentence)
        }
        const { link, mailed } = await linkMails.invite(id)
        if (!mailed && !sees) {
          const sentence =
            'Too many mails went out already, so this one couldn’t. Ask an admin, who may see the link.'
          throw new Refusal('not_mailed', 429, sentence)
        }
        return { link: sees ? link : null, mailed }
      }),
  }
}
