import type { Accounts } from '../accounts/accounts.ts'
import { Refusal } from '../errors.ts'
import { isBuiltIn } from '../oidc/built-in.ts'
import type { Consents } from '../oidc/consents.ts'
import type { Sessions } from '../oidc/sessions.ts'
import { maskPhone } from '../phone-number.ts'
import type { Authenticators } from '../second-factor/authenticators.ts'
import type { BackupCodes } from '../second-factor/backup-codes.ts'
import type { PhoneChanges } from '../second-factor/phone-changes.ts'
import { type PhoneRules, readPhone } from '../second-factor/phone-input.ts'
import type { Phone, Phones } from '../second-factor/phones.ts'
import type { TrustedDevices } from '../second-factor/trusted-devices.ts'
import { createOnAccount } from './on-account.ts'
import { type Actor, may } from './permissions.ts'

export type Factors = ReturnType<typeof createFactors>

interface Dependencies {
  accounts: Accounts
  phones: Phones
  phoneChanges: PhoneChanges
  authenticators: Authenticators
  backupCodes: BackupCodes
  trustedDevices: TrustedDevices
  sessions: Sessions
  consents: Consents
  phoneRules: PhoneRules
}

/** What protects an account and what is open in its name, for admins to look at, set and end. */
export function createFactors(deps: Dependencies) {
  const { accounts, phones, phoneChanges, authenticators, backupCodes, sessions } = deps
  const { trustedDevices, phoneRules } = deps
  const { onAccount, reading } = createOnAccount(accounts)

  /** A number as this actor may see it. */
  const shown =
    (actor: Actor) =>
    ({ number, ...phone }: Phone) => ({
      ...phone,
      masked: maskPhone(number),
      number: may(actor, 'numbers.read') ? number : maskPhone(number),
    })

  /** The phone as it is after a change. */
  async function phoneOf(actor: Actor, accountId: string, phoneId: string) {
    const found = (await phones.list(accountId)).find(({ id }) => id === phoneId)
    if (!found) throw new Refusal('no_phone', 404, 'The account has no such phone.')
    return shown(actor)(found)
  }

  return {
    phones: (actor: Actor, id: string) =>
      reading(actor, 'people.read', id, async () => (await phones.list(id)).map(shown(actor))),

    phone: (actor: Actor, id: string, phoneId: string) =>
      reading(actor, 'people.read', id, () => phoneOf(actor, id, phoneId)),

    /** Adds a number; it counts as unverified until a code that went to it was right (ADM-08). */
    addPhone: (actor: Actor, id: string, number: string) =>
      onAccount(actor, 'people.write', id, undefined, async () => {
        const { shared, ...phone } = await phoneChanges.add(
          id,
          readPhone(number, phoneRules),
          false,
        )
        return { ...shown(actor)(phone), shared }
      }),

    makePrimary: (actor: Actor, id: string, phoneId: string, reason?: string) =>
      onAccount(actor, 'people.write', id, reason, async () => {
        await phoneChanges.makePrimary(id, phoneId, undefined)
        return phoneOf(actor, id, phoneId)
      }),

    removePhone: (actor: Actor, id: string, phoneId: string, reason: string): Promise<void> =>
      onAccount(actor, 'people.write', id, reason, () =>
        phoneChanges.remove(id, phoneId, { keepLast: false }),
      ),

    /** The authenticator app and the backup codes, as far as anybody may know of them. */
    others: (actor: Actor, id: string) =>
      reading(actor, 'people.read', id, async () => {
        const [app, codes] = await Promise.all([authenticators.describe(id), backupCodes.count(id)])
        return {
          authenticator: app ? { addedAt: app.confirmedAt } : null,
          backupCodes: { left: codes.left, total: codes.total, issuedAt: codes.createdAt },
        }
      }),

    /** @returns ten codes, readable only now */
    issueBackupCodes: (actor: Actor, id: string, reason: string): Promise<string[]> =>
      onAccount(actor, 'people.write', id, reason, () => backupCodes.issue(id)),

    /** Takes all factors away: the person adds new ones at the next sign-in (ADM-10). */
    reset: (actor: Actor, id: string, reason: string): Promise<void> =>
      onAccount(actor, 'people.help', id, reason, () => phoneChanges.reset(id)),

    browsers: (actor: Actor, id: string) =>
      reading(actor, 'people.read', id, () => trustedDevices.list(id)),

    forgetBrowser: (actor: Actor, id: string, browserId: string): Promise<void> =>
      onAccount(actor, 'people.help', id, undefined, async () => {
        if (!(await trustedDevices.end(id, browserId)))
          throw new Refusal('no_browser', 404, 'The account has no such remembered browser.')
      }),

    /** @returns how many there were */
    forgetBrowsers: (actor: Actor, id: string, reason: string | undefined): Promise<number> =>
      onAccount(actor, 'people.help', id, reason, () => trustedDevices.endAll(id)),

    sessions: (actor: Actor, id: string) =>
      reading(actor, 'people.read', id, async () =>
        (await sessions.list(id)).map(({ uid, signedInAt, acr, amr, place, apps }) => ({
          id: uid,
          signedInAt,
          acr: acr ?? null,
          amr,
          browser: place?.browser ?? null,
          address: place?.address ?? null,
          apps,
        })),
      ),

    endSession: (actor: Actor, id: string, uid: string): Promise<void> =>
      onAccount(actor, 'people.help', id, undefined, async () => {
        if (!(await sessions.end(id, uid)))
          throw new Refusal('no_session', 404, 'The account has no such session.')
      }),

    /** Apps that can see something of the person; those that are part of the service aside. */
    apps: (actor: Actor, id: string) =>
      reading(actor, 'people.read', id, async () =>
        (await deps.consents.list(id)).filter(({ clientId }) => !isBuiltIn(clientId)),
      ),

    /** Ends all sessions, and takes back what apps were given. @returns how many there were */
    endSessions: (actor: Actor, id: string, reason: string | undefined): Promise<number> =>
      onAccount(actor, 'people.help', id, reason, () => sessions.endAllOf(id)),
  }
}
