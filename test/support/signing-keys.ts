import { createVault } from '../../src/crypto/vault.ts'
import { databaseClock } from '../../src/db/clock.ts'
import type { Db } from '../../src/db/schema.ts'
import { makeKeys, placeOfKey, SIGNING_ALGORITHMS } from '../../src/oidc/key-making.ts'
import { createKnownKeys } from '../../src/oidc/known-keys.ts'
import { once } from '../../src/once.ts'

/** What the keys of this process are sealed with until a house has them. */
const KEPT = createVault([Buffer.alloc(32)])
/** Made once, as RSA keys take long to find; two sets, so that houses made one after the other have none in common. */
const makeOnce = () => once(() => makeKeys(SIGNING_ALGORITHMS, KEPT))
const sets = [makeOnce(), makeOnce()]
let given = 0

/** Puts signing keys into a fresh database, as a first start would leave them there. */
export async function laySigningKeys(db: Db, encryptionKeys: readonly Buffer[]): Promise<void> {
  const turn = given++ % sets.length
  const keys = (await sets[turn]?.()) ?? []
  const vault = createVault(encryptionKeys)
  const clock = databaseClock
  await db
    .insertInto('signing_key')
    .values(
      keys.map(({ kid, algorithm, private_jwk }) => ({
        kid,
        algorithm,
        private_jwk: vault.seal(KEPT.open(private_jwk, placeOfKey(kid)), placeOfKey(kid)),
        created_at: clock(),
        activates_at: clock(),
      })),
    )
    .execute()
  await createKnownKeys({ db, vault }).remember(db)
}
