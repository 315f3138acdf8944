import { sql } from 'kysely'
import type { Vault } from '../crypto/vault.ts'
import { keepSecret } from '../db/keyring.ts'
import type { Db } from '../db/schema.ts'
import { SIGNING_ALGORITHMS } from './key-making.ts'

export const REMEDY =
  'Put the table back from a backup; if there is none, “keys rotate --now” makes new ones, and what the old ones signed is no longer good.'
/** Says in the keyring of which algorithms there have been keys. */
const MADE = 'signing-key-made/'

/** Which signing keys there are, and which there have been: what tells lost ones from those that were never made. */
export function createKnownKeys({ db, vault }: { db: Db; vault: Vault }) {
  /** Algorithms that a key is there to go on with. */
  async function algorithmsThere(on: Db): Promise<Set<string>> {
    const { rows } = await sql<{ algorithm: string }>`
      select distinct algorithm from signing_key where retires_at is null`.execute(on)
    return new Set(rows.map(({ algorithm }) => algorithm))
  }

  /** Algorithms that there ever was a key for. */
  async function algorithmsMade(): Promise<Set<string>> {
    const found = db.selectFrom('keyring').select('name').where('name', 'like', `${MADE}%`)
    return new Set((await found.execute()).map(({ name }) => name.slice(MADE.length)))
  }

  async function remember(on: Db, algorithms: Iterable<string>): Promise<void> {
    for (const algorithm of algorithms)
      await keepSecret(on, vault, MADE + algorithm, Buffer.from('made'))
  }

  /** What is wrong with the keys that are there, in a sentence for the operator; undefined when nothing is. */
  async function whyLost(): Promise<string | undefined> {
    const made = await algorithmsMade()
    const there = await algorithmsThere(db)
    const lost = SIGNING_ALGORITHMS.filter((one) => made.has(one) && !there.has(one))
    if (lost.length === 0) return undefined
    return `Signing keys are gone from the database (table signing_key): ${lost.join(', ')}. ${REMEDY}`
  }

  return { algorithmsThere, algorithmsMade, remember, whyLost }
}
