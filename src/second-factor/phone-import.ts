import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Vault } from '../crypto/vault.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { ParsedPhone, PhoneNumber } from '../phone-number.ts'
import { createPhoneColumns } from './phone-columns.ts'
import type { Sharing } from './phone-sharing.ts'

export type PhoneImport = ReturnType<typeof createPhoneImport>

/** Numbers of an account that was made in the same transaction, the primary one first. */
export interface ImportedPhones {
  accountId: string
  phones: ReadonlyArray<ParsedPhone & { verified: boolean }>
}

interface Dependencies {
  clock: Clock
  vault: Vault
  fingerprint: Fingerprints
  sharing: Sharing
}

/** Numbers written by the hundred, in one statement, for accounts that have none yet. */
export function createPhoneImport({ clock, vault, fingerprint, sharing }: Dependencies) {
  const columnsOf = createPhoneColumns({ vault, fingerprint })

  return {
    sharing,

    /**
     * Which of these numbers are other accounts' already. Whoever else adds one of them where numbers may
     * not be shared waits for this transaction to end.
     * @param owners the account each is meant for
     */
    async taken(on: Db, owners: ReadonlyMap<PhoneNumber, string>): Promise<Set<PhoneNumber>> {
      if (owners.size === 0) return new Set()
      const numbers = new Map(
        [...owners.keys()].map((number) => [fingerprint('phone', number).toString('hex'), number]),
      )
      // In one order everywhere, so that no two wait for each other.
      const keys = [...numbers.keys()].toSorted()
      await sql`
        select pg_advisory_xact_lock(hashtextextended(key, 0))
        from unnest(${keys}::text[]) with ordinality as k(key, place) order by place`.execute(on)
      const { rows } = await sql<{ key: string; account_id: string }>`
        select encode(number_fingerprint, 'hex') as key, account_id from phone
        where number_fingerprint = any(${keys.map((key) => Buffer.from(key, 'hex'))}::bytea[])
          and not pending`.execute(on)
      const others = rows.flatMap(({ key, account_id }) => {
        const number = numbers.get(key)
        return number !== undefined && owners.get(number) !== account_id ? [number] : []
      })
      return new Set(others)
    },

    /** Which of these numbers each of these accounts has, by `accountId number`. */
    async held(on: Db, wanted: readonly ImportedPhones[]): Promise<Set<string>> {
      const all = wanted.flatMap(({ accountId, phones }) =>
        phones.map(({ number }) => ({ accountId, number, key: fingerprint('phone', number) })),
      )
      if (all.length === 0) return new Set()
      const { rows } = await sql<{ place: number }>`
        select w.place::int as place
        from unnest(${all.map(({ accountId }) => accountId)}::text[], ${all.map(({ key }) => key)}::bytea[])
          with ordinality as w(account_id, key, place)
        join phone p on p.account_id = w.account_id and p.number_fingerprint = w.key and not p.pending`.execute(
        on,
      )
      return new Set(
        rows.flatMap(({ place }) => {
          const found = all[place - 1]
          return found ? [`${found.accountId} ${found.number}`] : []
        }),
      )
    },

    /**
     * Nobody is asked for a code whose account isn't in `second_factor`: its row is written with the numbers.
     * @param importId kept with each event
     */
    async insert(on: Db, imported: readonly ImportedPhones[], importId: string): Promise<void> {
      const rows = imported.flatMap(({ accountId, phones }) =>
        phones.map((phone, place) => {
          const id = randomBytes(16).toString('base64url')
          const { country, verified } = phone
          return { id, accountId, country, verified, place, ...columnsOf(id, phone) }
        }),
      )
      if (rows.length === 0) return
      const each = <K extends keyof (typeof rows)[number]>(name: K) => rows.map((row) => row[name])
      const added = auditEntry(
        clock,
        {
          type: 'phone.added',
          accountId: sql`account_id`,
          detail: {
            phone: sql`id`,
            verified: sql`(verified_at is not null)::text`,
            import: importId,
            ...(sharing === 'warn' && {
              shared: sql`(exists (select from phone o where o.number_fingerprint = made.number_fingerprint
                and o.account_id <> made.account_id and not o.pending))::text`,
            }),
          },
        },
        sql`from made`,
      )
      await sql`
        with made as (
          insert into phone (id, account_id, number, number_fingerprint, prefix_fingerprint, country, is_primary,
            position, verified_at, created_at)
          select g.id, g.account_id, g.number, g.whole, g.prefix, g.country, g.place = 0, g.place,
            case when g.verified then ${clock()} end, ${clock()}
          from unnest(${each('id')}::text[], ${each('accountId')}::text[], ${each('sealed')}::bytea[],
            ${each('whole')}::bytea[], ${each('prefix')}::bytea[], ${each('country')}::text[],
            ${each('place')}::int[], ${each('verified')}::bool[])
            as g(id, account_id, number, whole, prefix, country, place, verified)
          returning id, account_id, number_fingerprint, verified_at
        ), held as (
          insert into second_factor (account_id) select distinct account_id from made on conflict do nothing
        )
        ${added}`.execute(on)
    },
  }
}
