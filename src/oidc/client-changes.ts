import { isDeepStrictEqual } from 'node:util'
import { sql } from 'kysely'
import { z } from 'zod'
import { auditEntry } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { keepApart, recordsOf } from './apart.ts'
import { assertOffered } from './apis.ts'
import { assertNotBuiltIn } from './built-in.ts'
import { PERSON_SCOPES } from './claims.ts'
import { type ClientSummary, metadataText, summaryColumns, summaryOf } from './client-rows.ts'
import { unknownClient } from './client-secrets.ts'
import { endGiven, endManaging } from './given.ts'
import { assertLogoutUri } from './logout-uris.ts'
import {
  assertSensible,
  type ClientChanges,
  clientChanges,
  hasKeys,
  type Registration,
  type RegistrationRules,
} from './new-client.ts'
import { withSector } from './sectors.ts'

interface Dependencies {
  db: Db
  clock: Clock
  rules: RegistrationRules
}

/** Changing a client's registration. */
export function createClientChanges({ db, clock, rules }: Dependencies) {
  async function isManaging(on: Db, key: Buffer): Promise<boolean> {
    const found = await on
      .selectFrom('oidc_record')
      .select('key')
      .where('key', '=', key)
      .executeTakeFirst()
    return found !== undefined
  }

  /**
   * Changes what is given and leaves the rest. Where the client may do less than before, what it was given ends.
   * @param ifVersion refused unless the client is at this version
   * @param managing key of the token by which it changes itself; an admin has none
   * @returns the client as it is now
   * @throws Refusal naming what is wrong, or that there is no such client, or that it was changed meanwhile
   */
  async function patch(
    id: string,
    changes: ClientChanges,
    { ifVersion, managing }: { ifVersion?: number | undefined; managing?: Buffer },
  ): Promise<ClientSummary> {
    const parsed = clientChanges.safeParse(changes)
    if (!parsed.success) throw new Refusal('client', 400, z.prettifyError(parsed.error))
    assertNotBuiltIn(id)
    await assertLogoutUri(parsed.data.backchannelLogoutUri, rules.checkTarget)
    return db.transaction().execute(async (trx) => {
      // The token by which it manages itself may be about to be exchanged.
      if (!managing) await keepApart(trx, recordsOf.client(id))
      // Held until the end, so that nothing comes between what is checked and what is stored.
      const row = await trx
        .selectFrom('client')
        .select(summaryColumns(clock))
        .where('id', '=', id)
        .forUpdate()
        .executeTakeFirst()
      if (!row) throw unknownClient(id)
      if (ifVersion !== undefined && row.version !== ifVersion) throw changedMeanwhile(id)
      if (managing && !(await isManaging(trx, managing))) throw changedMeanwhile(id)
      const before = summaryOf(row)
      const given = Object.entries(parsed.data).filter(([, value]) => value !== undefined)
      const after = withSector({ ...before, ...Object.fromEntries(given) }, parsed.data.sector)
      const changed = MEMBERS.filter((name) => !isDeepStrictEqual(before[name], after[name]))
      if (changed.length === 0) return before
      assertSensible(after, rules)
      await assertOffered(trx, after.apiScopes)
      if (hasKeys(before) && !hasKeys(after)) throw noWayLeft()
      const stored = await trx
        .updateTable('client')
        .set({
          name: after.name,
          metadata: metadataText(after),
          first_party: after.firstParty,
          second_factor: after.secondFactor,
          // A secret beside the keys would open what they are to protect.
          ...(hasKeys(after) && NO_SECRET),
          version: sql`version + 1`,
          updated_at: clock(),
        })
        .where('id', '=', id)
        .returning(summaryColumns(clock))
        .executeTakeFirstOrThrow()
      if (mayLess(before, after)) await endGiven(trx, id, { managing: false })
      if (row.registered_by !== null && !managing) await endManaging(trx, id)
      const detail = { members: changed.join(' ') }
      await auditEntry(clock, { type: 'client.changed', clientId: id, detail }).execute(trx)
      return summaryOf(stored)
    })
  }

  return {
    /** By an admin. @see patch */
    patch: (id: string, changes: ClientChanges, ifVersion?: number) =>
      patch(id, changes, { ifVersion }),

    /** By a client that registered itself, as long as it manages itself. @see patch */
    async patchItself(id: string, changes: ClientChanges, managing: Buffer): Promise<void> {
      await patch(id, changes, { managing })
    },
  }
}

const NO_SECRET = { secret: null, previous_secret: null, previous_secret_until: null }

function noWayLeft(): Refusal {
  return new Refusal(
    'client',
    400,
    'A client that has keys has no secret, so it would have nothing left to prove who it is: give it other keys, or register another one.',
  )
}

const MEMBERS = clientChanges.keyof().options

/** Whether a scope or a grant was taken away, or that nobody is asked, or more is asked of sign-ins or tokens than before. */
function mayLess(before: Registration, after: Registration): boolean {
  const scopes: readonly string[] = after.scope ?? PERSON_SCOPES
  const lost =
    (before.scope ?? PERSON_SCOPES).some((scope) => !scopes.includes(scope)) ||
    before.apiScopes.some((scope) => !after.apiScopes.includes(scope))
  const raised = before.secondFactor !== 'required' && after.secondFactor === 'required'
  const fewer = before.grants.some((grant) => !after.grants.includes(grant))
  const bound = after.requireDpop && !before.requireDpop
  // Tokens would go on telling who people were there before.
  const renamed = before.subjectType !== after.subjectType || before.sector !== after.sector
  const asked = before.firstParty && !after.firstParty
  return lost || raised || fewer || asked || bound || renamed
}

function changedMeanwhile(id: string): Refusal {
  return new Refusal(
    'changed_meanwhile',
    412,
    `The client ${id} was changed meanwhile. Look at it again, and change it as it is now.`,
  )
}
