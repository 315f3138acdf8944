import { randomBytes } from 'node:crypto'
import { type Vault, VaultError } from '../crypto/vault.ts'
import type { Db } from './schema.ts'
import { sealedTable } from './sealed-table.ts'

export const SEALED_KEYRING = sealedTable('keyring', { key: { name: 'text' }, columns: ['value'] })

const PEPPER = 'fingerprint-pepper'
const placeOf = (name: string) => ({ column: 'keyring.value', row: name })

/**
 * The random key under which personal values are fingerprinted. It lives sealed in the database, so that
 * all instances share it and rotating ENCRYPTION_KEYS leaves every fingerprint as it is. Opening it also
 * proves at start that ENCRYPTION_KEYS belongs to this database.
 *
 * @throws Error with a sentence for the operator when no key opens it
 */
export async function openPepper(db: Db, vault: Vault): Promise<Buffer> {
  try {
    await keepSecret(db, vault, PEPPER, randomBytes(32))
    const pepper = await findSecret(db, vault, PEPPER)
    if (!pepper) throw new Error('the pepper was lost in the moment it was made')
    return pepper
  } catch (error) {
    if (!(error instanceof VaultError)) throw error
    throw new Error(
      'ENCRYPTION_KEYS does not fit this database: it was set up with another key. Put the old key back (it may stand after a new one, separated by a comma) until “keys reencrypt” has sealed everything with the new one.',
      { cause: error },
    )
  }
}

/** Keeps a secret under a name, sealed; one that is there already stays. */
export async function keepSecret(
  db: Db,
  vault: Vault,
  name: string,
  secret: Buffer,
): Promise<void> {
  await db
    .insertInto('keyring')
    .values({ name, value: vault.seal(secret, placeOf(name)) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export async function forgetSecret(db: Db, name: string): Promise<void> {
  await db.deleteFrom('keyring').where('name', '=', name).execute()
}

/** Public name of the key that a secret is sealed with; undefined where there is no such secret. */
export async function sealerOf(db: Db, vault: Vault, name: string): Promise<string | undefined> {
  const value = await findSealed(db, name)
  return value && vault.keyNameOf(value)
}

/** @throws VaultError when no key opens it */
export async function findSecret(db: Db, vault: Vault, name: string): Promise<Buffer | undefined> {
  const value = await findSealed(db, name)
  return value && vault.open(value, placeOf(name))
}

async function findSealed(db: Db, name: string): Promise<Buffer | undefined> {
  const row = await db
    .selectFrom('keyring')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirst()
  return row?.value
}
