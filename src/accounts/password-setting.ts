import type { OnChange } from '../audit/change.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
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

/** `changed` by its owner, who is signed in; `reset` by whoever holds a one-time link. */
export type HowSet = 'changed' | 'reset'

export type LinkOutcome =
  | ({ outcome: 'done' } & OpenLink)
  /** used, expired or unknown: nobody is told which */
  | { outcome: 'no-link' }
  | { outcome: 'weak'; judgement: Weak }

export function createPasswordSetting(deps: Dependencies) {
  const { db, passwords, quality, throttle, fingerprint, links, onChange } = deps

  /** @returns false when the account is gone or disabled */
  async function store(
    trx: Db,
    id: string,
    password_hash: string,
    { how, sessionUid }: { how: HowSet; sessionUid?: string | undefined },
  ): Promise<boolean> {
    const row = await trx
      .updateTable('account')
      .set({ password_hash })
      .where('id', '=', id)
      .where('disabled_at', 'is', null)
      .returning('username_key')
      .executeTakeFirst()
    if (!row) return false
    // Whoever has tried all they could think of has no tries left for the new one.
    await throttle.forgetting(fingerprint('name', row.username_key)).execute(trx)
    await links.endAll(trx, id)
    await onChange(trx, { type: `password.${how}`, accountId: id, sessionUid })
    return true
  }

  return {
    /**
     * Sets a password, unless it is too weak, and ends with it what rested on the old one.
     * @param options `sessionUid`: the session it is done in, which stays
     * @throws Refusal when the account is gone or disabled
     */
    async setPassword(
      id: string,
      password: string,
      options: { how: HowSet; sessionUid?: string | undefined },
    ): Promise<Judgement> {
      const account = await db
        .selectFrom('account')
        .select(COLUMNS)
        .where('id', '=', id)
        .executeTakeFirst()
      if (!account) throw noAccount()
      const judgement = await quality.judge(password, account)
      if (!judgement.ok) return judgement
      const hash = await passwords.hash(password)
      const stored = await db.transaction().execute((trx) => store(trx, id, hash, options))
      if (!stored) throw noAccount()
      return judgement
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
      const done = await db.transaction().execute(async (trx) => {
        const id = await links.consume(trx, token)
        return id !== undefined && store(trx, id, hash, { how: 'reset' })
      })
      return done ? { outcome: 'done', ...link } : { outcome: 'no-link' }
    },
  }
}

function noAccount(): Refusal {
  return new Refusal('no_account', 404, 'There is no such account.')
}
