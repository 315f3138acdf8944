import type { ChangeType, OnChange } from '../audit/change.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import { retrying } from '../db/faults.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import { COLUMNS } from './account.ts'
import type { Links, OpenLink } from './links.ts'
import type { Judgement, PasswordQuality, Weak } from './password-quality.ts'
import type { Passwords } from './passwords.ts'
import type { Throttle } from './throttle.ts'

interface Dependencies {
  db: Db
  passwords: Passwords
  quality: PasswordQuality
  throttle: Throttle
  fingerprint: Fingerprints
  links: Links
  onChange: OnChange
}

interface Setting {
  /** `changed` by its owner, who is signed in; `reset` by whoever holds a one-time link */
  how: 'changed' | 'reset'
  /** the session it is done in, which stays, and must still be there */
  sessionUid?: string | undefined
  /** hash of the password it takes the place of: if there is another by now, nothing is done */
  instead?: string | undefined
}

export type LinkOutcome =
  | ({ outcome: 'done' } & OpenLink)
  /** used, expired or unknown: nobody is told which */
  | { outcome: 'no-link' }
  | { outcome: 'weak'; judgement: Weak }

export function createPasswordSetting(deps: Dependencies) {
  const { db, passwords, quality, throttle, fingerprint, links, onChange } = deps

  /** @throws Refusal when the account is gone or disabled, or the session has ended */
  async function store(
    trx: Db,
    id: string,
    hash: string,
    { how, sessionUid, instead }: Setting,
  ): Promise<'stored' | 'replaced'> {
    const held = await trx
      .selectFrom('account')
      .select(['username_key', 'password_hash'])
      .where('id', '=', id)
      .where('disabled_at', 'is', null)
      .forNoKeyUpdate()
      .executeTakeFirst()
    if (!held) throw noAccount()
    if (instead !== undefined && held.password_hash !== instead) return 'replaced'
    await trx.updateTable('account').set({ password_hash: hash }).where('id', '=', id).execute()
    // Whoever has tried all they could think of has no tries left for the new one.
    await throttle.forgetName(trx, fingerprint('name', held.username_key))
    await links.endAll(trx, id)
    // Nobody's password was reset by choosing the first.
    const type: ChangeType =
      how === 'reset' && held.password_hash === null ? 'password.chosen' : `password.${how}`
    await onChange(trx, { type, accountId: id, sessionUid })
    return 'stored'
  }
  return {
    /**
     * Sets a password, unless it is too weak, and ends with it what rested on the old one.
     * @returns `replaced` when the one it was to take the place of is no longer the account's
     * @throws Refusal when the account is gone or disabled, or the session has ended
     */
    async setPassword(
      id: string,
      password: string,
      setting: Setting,
    ): Promise<Judgement | { ok: false; fault: 'replaced' }> {
      const account = await db
        .selectFrom('account')
        .select(COLUMNS)
        .where('id', '=', id)
        .executeTakeFirst()
      if (!account) throw noAccount()
      const judgement = await quality.judge(password, account)
      if (!judgement.ok) return judgement
      const hash = await passwords.hash(password)
      // Of two sessions that end each other, one may lose the deadlock: asked again, it finds itself ended.
      const stored = await retrying(() =>
        db.transaction().execute((trx) => store(trx, id, hash, setting)),
      )
      return stored === 'stored' ? judgement : { ok: false, fault: 'replaced' }
    },

    /**
     * Sets the password of whoever a one-time link is for, and uses the link up. It signs nobody in and touches
     * no second factor (ADM-09).
     */
    async setPasswordByLink(token: string, password: string): Promise<LinkOutcome> {
      const link = await links.peek(token)
      if (!link) return { outcome: 'no-link' }
      const judgement = await quality.judge(password, link.account)
      if (!judgement.ok) return { outcome: 'weak', judgement }
      const hash = await passwords.hash(password)
      const done = await retrying(() =>
        db.transaction().execute(async (trx) => {
          const id = await links.consume(trx, token)
          if (id === undefined) return false
          await store(trx, id, hash, { how: 'reset' })
          return true
        }),
      )
      return done ? { outcome: 'done', ...link } : { outcome: 'no-link' }
    },
  }
}

function noAccount(): Refusal {
  return new Refusal('no_account', 404, 'There is no such account.')
}
