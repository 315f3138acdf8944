import { randomBytes } from 'node:crypto'
import { type Vault, VaultError } from '../crypto/vault.ts'
import type { Db } from './schema.ts'

const PEPPER = { name: 'fingerprint-pepper', column: 'keyring.value' }

/**
 * The random key under which personal values are fingerprinted. It lives sealed in the database, so that
 * all instances share it and rotating ENCRYPTION_KEYS leaves every fingerprint as it is. Opening it also
 * proves at start that ENCRYPTION_KEYS belongs to this database.
 *
 * @throws Error with a sentence for the operator when no key opens it
 */
export async function openPepper(db: Db, vault: Vault): Promise<Buffer> {
  const place = { column: PEPPER.column, row: PEPPER.name }
  await db
    .insertInto('keyring')
    .values({ name: PEPPER.name, value: vault.seal(randomBytes(32), place) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const { value } = await db
    .selectFrom('keyring')
    .select('value')
    .where('name', '=', PEPPER.name)
    .executeTakeFirstOrThrow()
  try {
    return vault.open(value, place)
  } catch (error) {
    if (!(error instanceof VaultError)) throw error
    throw new Error(
      'ENCRYPTION_KEYS does not fit this database: it was set up with another key. Put the old key back (it may stand after a new one, separated by a comma).',
      { cause: error },
    )
  }
}
