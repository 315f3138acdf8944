import { sql } from 'kysely'
import type { Vault } from '../crypto/vault.ts'
import { keepSecret } from '../db/keyring.ts'
import type { Db } from '../db/schema.ts'
import { SIGNING_ALGORITHMS } from './key-making.ts'

export const REMEDY =
  'Put the table back from a backup; if there is none, “keys rotate --now” makes new ones, and what the old ones signed is no longer good.'
/** Says in the keyring of which algorithms there have been keys. */
const MADE = 'signing-key-made/'

type Algorithm = (typeof SIGNING_ALGORITHMS)[number]

/**
 * Which signing keys there are, and which there have been: what tells lost ones from those that are yet to be made.
 *
 * Keys that go on, that is which none takes over from, say of which algorithms there were keys beside them. One that
 * they name and that isn't there was lost. One that they don't name was never made, or was left behind: a version
 * that doesn't know its algorithm rotated the keys, had it retire with the others, and made none to follow it. Such a
 * version names none.
 */
export function createKnownKeys({ db, vault }: { db: Db; vault: Vault }) {
  /** Algorithms of keys that go on, and all that these name. */
  async function goingOn(on: Db) {
    const { rows } = await sql<{ algorithm: string; named: string[] }>`
      select algorithm, coalesce(made_with, '{}') as named
      from signing_key where retires_at is null`.execute(on)
    return {
      there: new Set(rows.map(({ algorithm }) => algorithm)),
      named: new Set(rows.flatMap(({ named }) => named)),
      all: rows.every(({ named }) => SIGNING_ALGORITHMS.every((one) => named.includes(one))),
    }
  }

  /** Algorithms that there ever was a key for. */
  async function everMade(): Promise<Set<string>> {
    const found = db.selectFrom('keyring').select('name').where('name', 'like', `${MADE}%`)
    return new Set((await found.execute()).map(({ name }) => name.slice(MADE.length)))
  }

  return {
    /** Algorithms that a key is still to be made for. */
    async missing(on: Db): Promise<Algorithm[]> {
      const { there } = await goingOn(on)
      return SIGNING_ALGORITHMS.filter((one) => !there.has(one))
    },

    /** Whether there is a key of each, and all of it is kept in mind. */
    async areComplete(): Promise<boolean> {
      const made = await everMade()
      const { there, all } = await goingOn(db)
      return all && SIGNING_ALGORITHMS.every((one) => there.has(one) && made.has(one))
    },

    /** Keeps in mind which keys there are, so that those that get lost are missed. */
    async remember(on: Db): Promise<void> {
      await sql`
        with going_on as (
          select array_agg(distinct algorithm) as algorithms from signing_key where retires_at is null)
        update signing_key set made_with = algorithms from going_on
        where retires_at is null and (made_with @> algorithms) is not true`.execute(on)
      const { there } = await goingOn(on)
      for (const algorithm of there)
        await keepSecret(on, vault, MADE + algorithm, Buffer.from('made'))
    },

    /** What is wrong with the keys that are there, in a sentence for the operator; undefined when nothing is. */
    async whyLost(): Promise<string | undefined> {
      const made = await everMade()
      const { there, named } = await goingOn(db)
      // No rotation leaves none, whichever version does it.
      const known = there.size === 0 ? made : named
      const lost = SIGNING_ALGORITHMS.filter((one) => known.has(one) && !there.has(one))
      if (lost.length === 0) return undefined
      return `Signing keys are gone from the database (table signing_key): ${lost.join(', ')}. ${REMEDY}`
    },
  }
}
