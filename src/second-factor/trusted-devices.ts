import { randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { OnChange } from '../audit/change.ts'
import { auditEntry } from '../audit/event.ts'
import { hashToken } from '../crypto/keys.ts'
import { type Clock, later } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import { isLocked } from './challenge-parts.ts'
import { holding } from './hold.ts'

export type TrustedDevices = ReturnType<typeof createTrustedDevices>

/** A remembered browser, as its owner sees it in a list. */
export interface TrustedDevice {
  id: string
  /** as in "Firefox on Windows" */
  browser: string
  createdAt: Date
  usedAt: Date
  expiresAt: Date
}

export type Recognition =
  /** the second factor may be skipped; the browser's token is this one from now on */
  | { outcome: 'trusted'; token: string }
  /** never remembered, no longer, or at the same moment in another tab */
  | { outcome: 'unknown' }
  /** somebody has a copy of the token: the browser is remembered no more */
  | { outcome: 'copied' }

const DAY_SECONDS = 24 * 3600
const IDLE_SECONDS = 14 * DAY_SECONDS
/** Two tabs, a double click: a token is shown twice at once, and its second showing is no theft. */
const GRACE_SECONDS = 10
const DEVICES_AT_MOST = 20
const ID_LENGTH = 22
const SECRET_LENGTH = 43

interface Dependencies {
  db: Db
  clock: Clock
  onChange: OnChange
  /** how long a browser is remembered, 0 for never; a shorter time holds for those remembered before, too */
  days: number
}

/**
 * Browsers that may skip the second factor for a while. A token is an id, which stays, and a secret, which is
 * another after each use: whoever shows an old one, however old, has a copy, or the other one has.
 */
export function createTrustedDevices({ db, clock, onChange, days }: Dependencies) {
  const lifeSeconds = days * DAY_SECONDS

  const isAlive = (): RawBuilder<boolean> => sql`(expires_at > ${clock()}
    and created_at > ${later(clock, -lifeSeconds)} and rotated_at > ${later(clock, -IDLE_SECONDS)})`

  /** An account that takes no codes just now isn't entered without one either (TRD-08). */
  const mayEnter = (): RawBuilder<boolean> => sql`not exists (
    select from second_factor s where s.account_id = trusted_device.account_id and ${isLocked(clock())})`

  const ended = (source: RawBuilder<unknown>) =>
    auditEntry(
      clock,
      {
        type: 'trusted-browser.ended',
        accountId: sql`account_id`,
        detail: { trustedBrowser: sql`id` },
      },
      source,
    )

  /** Ends what a token that was copied stands for, and tells its owner; the first to find out does. */
  async function endCopied(id: string, accountId: string): Promise<void> {
    await retrying(() =>
      db.transaction().execute(async (trx) => {
        const gone = await trx
          .deleteFrom('trusted_device')
          .where('id', '=', id)
          .where('account_id', '=', accountId)
          .returning('id')
          .executeTakeFirst()
        if (gone) await onChange(trx, { type: 'trusted-browser.copied', accountId })
      }),
    )
  }

  return {
    /** whether browsers are remembered at all */
    offered: days > 0,

    /**
     * Remembers a browser. Of many, the one that wasn't used for longest is forgotten.
     * @param browser what it is called in a list
     * @param on the transaction it is part of
     * @returns its token, or undefined when no browsers are remembered
     */
    async trust(accountId: string, browser: string, on: Db = db): Promise<string | undefined> {
      if (lifeSeconds === 0) return undefined
      const id = randomBytes(16).toString('base64url')
      const token = tokenOf(id)
      await holding(on, accountId, (trx) =>
        sql`
          with many as (
            delete from trusted_device where id in (
              select id from trusted_device where account_id = ${accountId}
              order by rotated_at desc offset ${DEVICES_AT_MOST - 1}
            ) returning id, account_id
          ),
          ended as (${ended(sql`from many`)}),
          added as (
            insert into trusted_device (id, account_id, token_hash, browser, created_at, rotated_at, expires_at)
            values (${id}, ${accountId}, ${hashOf(token)}, ${browser}, ${clock()}, ${clock()},
              ${later(clock, lifeSeconds)})
          )
          ${auditEntry(clock, { type: 'trusted-browser.added', accountId, detail: { trustedBrowser: id } })}`.execute(
          trx,
        ),
      )
      return token
    },

    /** Whether a browser's token is good just now; changes nothing. */
    async isTrusted(token: string, accountId: string): Promise<boolean> {
      const id = idOf(token)
      if (!id) return false
      const row = await db
        .selectFrom('trusted_device')
        .select('id')
        .where('id', '=', id)
        .where('account_id', '=', accountId)
        .where('token_hash', '=', hashOf(token))
        .where(isAlive())
        .where(mayEnter())
        .executeTakeFirst()
      return row !== undefined
    },

    /**
     * Uses a browser's token, in place of a second factor. Of two uses at once one is good, and the other knows
     * nothing.
     */
    async recognise(token: string, accountId: string): Promise<Recognition> {
      const id = idOf(token)
      if (!id) return { outcome: 'unknown' }
      const next = tokenOf(id)
      const { rows } = await retrying(() =>
        sql<{ used: boolean; copied: boolean }>`
          with held as (
            select id, account_id, token_hash = ${hashOf(token)} as newest, ${mayEnter()} as may_enter,
              rotated_at > ${later(clock, -GRACE_SECONDS)} as just_used
            from trusted_device where id = ${id} and account_id = ${accountId} and ${isAlive()} for update
          ),
          rotated as (
            update trusted_device d set token_hash = ${hashOf(next)}, rotated_at = ${clock()}
            from held where d.id = held.id and held.newest and held.may_enter
            returning d.id, d.account_id
          ),
          used as (${auditEntry(
            clock,
            {
              type: 'trusted-browser.used',
              accountId: sql`account_id`,
              detail: { trustedBrowser: sql`id` },
            },
            sql`from rotated`,
          )})
          select exists (select from rotated) as used,
            exists (select from held where not newest and not just_used) as copied`.execute(db),
      )
      const [verdict] = rows
      if (verdict?.used) return { outcome: 'trusted', token: next }
      if (!verdict?.copied) return { outcome: 'unknown' }
      await endCopied(id, accountId)
      return { outcome: 'copied' }
    },

    /** An account's remembered browsers, the one used last first. */
    async list(accountId: string): Promise<TrustedDevice[]> {
      const { rows } = await sql<TrustedDevice>`
        select id, browser, created_at as "createdAt", rotated_at as "usedAt",
          least(expires_at, created_at + make_interval(secs => ${lifeSeconds}),
            rotated_at + make_interval(secs => ${IDLE_SECONDS})) as "expiresAt"
        from trusted_device where account_id = ${accountId} and ${isAlive()}
        order by rotated_at desc`.execute(db)
      return rows
    },

    /** @returns whether the account had it */
    async end(accountId: string, id: string): Promise<boolean> {
      const { rows } = await sql`
        with gone as (
          delete from trusted_device where id = ${id} and account_id = ${accountId} returning id, account_id
        )
        ${ended(sql`from gone`)}`.execute(db)
      return rows.length > 0
    },

    /**
     * Forgets all browsers of an account.
     * @param on the transaction of the change they don't outlive
     * @returns how many there were
     */
    async endAll(accountId: string, on: Db = db): Promise<number> {
      const { rows } = await sql`
        with gone as (
          delete from trusted_device where account_id = ${accountId} returning id, account_id
        )
        ${ended(sql`from gone`)}`.execute(on)
      return rows.length
    },

    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await sql`
        delete from trusted_device where id in (
          select id from trusted_device where expires_at <= ${clock()}
          order by expires_at limit ${batch} for update skip locked)`.execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}

function tokenOf(id: string): string {
  return `${id}.${randomBytes(32).toString('base64url')}`
}

function idOf(token: string): string | undefined {
  const [id = '', secret = '', ...more] = token.split('.')
  const whole = id.length === ID_LENGTH && secret.length === SECRET_LENGTH && more.length === 0
  return whole ? id : undefined
}

function hashOf(token: string): Buffer {
  return hashToken(token, 'trusted-device')
}
