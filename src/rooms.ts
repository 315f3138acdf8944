import { createAccounts } from './accounts/accounts.ts'
import { createPasswords } from './accounts/passwords.ts'
import { createThrottle } from './accounts/throttle.ts'
import type { Config } from './config/config.ts'
import type { CompleteSecrets } from './config/development-keys.ts'
import { createFingerprints } from './crypto/fingerprints.ts'
import { createVault } from './crypto/vault.ts'
import type { Clock } from './db/clock.ts'
import { openPepper } from './db/keyring.ts'
import type { Db } from './db/schema.ts'
import { createClients } from './oidc/clients.ts'
import { createLocks } from './second-factor/locks.ts'
import { createPhones } from './second-factor/phones.ts'

export type Rooms = Awaited<ReturnType<typeof createRooms>>

/**
 * The rooms that the server and the command line share.
 * @throws Error with a sentence for the operator when ENCRYPTION_KEYS doesn't fit the database
 */
export async function createRooms(db: Db, clock: Clock, config: Config, secrets: CompleteSecrets) {
  const vault = createVault(secrets.encryptionKeys)
  const fingerprint = createFingerprints(await openPepper(db, vault))
  const throttle = createThrottle({ db, clock })
  return {
    vault,
    fingerprint,
    throttle,
    accounts: createAccounts({ db, passwords: createPasswords(), throttle, fingerprint }),
    phones: createPhones({ db, vault, fingerprint }),
    locks: createLocks({ db }),
    clients: createClients({ db, vault, production: config.production }),
  }
}
