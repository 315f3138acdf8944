import { hashToken } from '../crypto/keys.ts'
import type { Vault } from '../crypto/vault.ts'
import { findSecret, keepSecret } from '../db/keyring.ts'
import type { Db } from '../db/schema.ts'

export type SignerKeys = ReturnType<typeof createSignerKeys>

const PREFIX = 'firebase-signer-key/'
const nameOf = (id: string) => `${PREFIX}${id}`

/**
 * Signer keys of Firebase projects that accounts came from. One is as good as a pepper of all of a project's
 * hashes, so it is sealed in the keyring, and hashes name it by its id.
 */
export function createSignerKeys({ db, vault }: { db: Db; vault: Vault }) {
  const known = new Map<string, Buffer>()

  return {
    /** @returns the id under which it is found */
    async keep(key: Buffer): Promise<string> {
      const id = hashToken(key.toString('base64'), 'firebase-signer-key')
        .subarray(0, 9)
        .toString('base64url')
      await keepSecret(db, vault, nameOf(id), key)
      return id
    },

    async ids(): Promise<Set<string>> {
      const rows = await db
        .selectFrom('keyring')
        .select('name')
        .where('name', 'like', `${PREFIX}%`)
        .execute()
      return new Set(rows.map(({ name }) => name.slice(PREFIX.length)))
    },

    async find(id: string): Promise<Buffer | undefined> {
      const held = known.get(id) ?? (await findSecret(db, vault, nameOf(id)))
      if (held) known.set(id, held)
      return held
    },
  }
}
