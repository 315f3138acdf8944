import { createHash, randomBytes } from 'node:crypto'
import { usernameKey } from '../accounts/account.ts'
import type { AccountImport } from '../accounts/account-import.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import type { PhoneNumber } from '../phone-number.ts'
import type { PhoneChanges } from '../second-factor/phone-changes.ts'
import type { PhoneImport } from '../second-factor/phone-import.ts'
import type { ReadyRow } from './rows.ts'

export interface NumberedRow {
  line: number
  row: ReadyRow
}

export interface Failure {
  line: number
  reason: string
}

/** What became of a batch. */
export interface Written {
  created: number
  updated: number
  failures: Failure[]
}

export interface BatchRules {
  importId: string
  dryRun: boolean
  /** whether accounts that are there already are written to */
  update: boolean
}

export interface BatchWriterDeps {
  accountImport: AccountImport
  phoneImport: PhoneImport
  phoneChanges: Pick<PhoneChanges, 'add'>
}

const TAKEN = 'Another account has this number.'
const EXISTS = 'There is an account of this name already.'
const HAS_ROLE = 'This account has a role, and no file changes it.'

type Placed = NumberedRow & { id: string }

/** Writes rows by the hundred. No two of a batch have the same name. */
export function createBatchWriter({ accountImport, phoneImport, phoneChanges }: BatchWriterDeps) {
  /** Leaves out rows with numbers that may not be had: other accounts', or an earlier row's of the same batch. */
  async function withoutTaken(
    on: Db,
    rows: readonly Placed[],
    failures: Failure[],
  ): Promise<Placed[]> {
    if (phoneImport.sharing !== 'refuse') return [...rows]
    const owners = new Map<PhoneNumber, string>()
    for (const { id, row } of rows)
      for (const { number } of row.phones) if (!owners.has(number)) owners.set(number, id)
    const taken = await phoneImport.taken(on, owners)
    const mayHave = ({ id, row }: Placed) =>
      row.phones.every(({ number }) => owners.get(number) === id && !taken.has(number))
    for (const placed of rows)
      if (!mayHave(placed)) failures.push({ line: placed.line, reason: TAKEN })
    return rows.filter(mayHave)
  }

  async function addPhones(
    on: Db,
    rows: readonly Placed[],
    failures: Failure[],
  ): Promise<Placed[]> {
    const held = await phoneImport.held(
      on,
      rows.map(({ id, row }) => ({ accountId: id, phones: row.phones })),
    )
    const done: Placed[] = []
    for (const placed of rows) {
      const { id, row, line } = placed
      const fresh = row.phones.filter(({ number }) => !held.has(`${id} ${number}`))
      try {
        // One that is added to an account in use is proven by its first right code, whatever the file says (ADM-08).
        for (const { verified: _, ...phone } of fresh) await phoneChanges.add(id, phone, false, on)
        done.push(placed)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        failures.push({ line, reason: error.message })
      }
    }
    return done
  }

  return {
    /** @param seen names of rows before these, where nothing is written that would tell of them */
    async write(
      on: Db,
      rows: readonly NumberedRow[],
      { importId, dryRun, update }: BatchRules,
      seen: SeenNames,
    ): Promise<Written> {
      const failures: Failure[] = []
      const ids = await accountImport.find(
        on,
        rows.map(({ row }) => row.username),
      )
      const known = rows.map((numbered) => {
        const found = ids.get(usernameKey(numbered.row.username))
        return {
          ...numbered,
          id: found?.id ?? randomBytes(16).toString('base64url'),
          exists: found !== undefined,
          hasRole: found?.hasRole ?? false,
        }
      })
      const isThere = ({ row, exists }: (typeof known)[number]) => exists || seen.has(row.username)
      const there = known.filter(isThere)
      for (const { line, hasRole } of there)
        if (!update || hasRole) failures.push({ line, reason: hasRole ? HAS_ROLE : EXISTS })
      const usable = await withoutTaken(
        on,
        known.filter((placed) => !isThere(placed) || (update && !placed.hasRole)),
        failures,
      )
      const thereIds = new Set(there.map(({ id }) => id))
      const fresh = usable.filter(({ id }) => !thereIds.has(id))
      const old = usable.filter(({ id }) => thereIds.has(id))
      if (dryRun) {
        for (const { row } of fresh) seen.add(row.username)
        return { created: fresh.length, updated: old.length, failures }
      }
      const made = await accountImport.insert(
        on,
        fresh.map(({ id, row }) => ({ id, ...row })),
        importId,
      )
      for (const { id, line } of fresh) if (!made.has(id)) failures.push({ line, reason: EXISTS })
      await phoneImport.insert(
        on,
        fresh.flatMap(({ id, row }) =>
          made.has(id) ? [{ accountId: id, phones: row.phones }] : [],
        ),
        importId,
      )
      const added = await addPhones(on, old, failures)
      await accountImport.update(
        on,
        added.map(({ id, row }) => ({ id, ...row })),
        importId,
      )
      return { created: made.size, updated: added.length, failures }
    },
  }
}

export type SeenNames = ReturnType<typeof createSeenNames>

/** More names than that aren't remembered: some 50 MB. */
const NAMES_MOST = 1_000_000

/** Names that a dry run has met, as far as memory allows: nothing is written that would tell of them. */
export function createSeenNames() {
  const names = new Set<string>()
  const shortened = (username: string) =>
    createHash('sha256').update(usernameKey(username)).digest().toString('latin1', 0, 8)

  return {
    has: (username: string): boolean => names.size > 0 && names.has(shortened(username)),
    add(username: string): void {
      if (names.size < NAMES_MOST) names.add(shortened(username))
    },
  }
}
