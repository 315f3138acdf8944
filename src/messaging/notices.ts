import { type RawBuilder, sql } from 'kysely'
import { auditEntry } from '../audit/event.ts'
import type { Vault } from '../crypto/vault.ts'
import { type Clock, later } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { sealedTable } from '../db/sealed-table.ts'
import type { LinkDetail, LinkKind, NoticeDetail, NoticeKind } from './notice-words.ts'
import { newReference } from './reference.ts'

export interface Recipient {
  medium: 'sms' | 'mail'
  /** a number in E.164, or a mail address */
  to: string
  /** ISO 3166 code of a number's country */
  country?: string | null
}

export interface Notice {
  accountId: string
  kind: NoticeKind
  /** tag of the language it is written in; null for the default */
  language: string | null
  recipients: readonly Recipient[]
  detail?: NoticeDetail
}

export interface Link extends LinkDetail {
  accountId: string
  kind: LinkKind
  language: string | null
  /** mail address */
  to: string
}

export const SEALED_NOTICES = sealedTable('notice', {
  key: { id: 'text' },
  columns: ['recipient', 'detail'],
})

/** Places of what is sealed: whom a notice is for, and what its words take. */
export const RECIPIENT = 'notice.recipient'
export const DETAIL = 'notice.detail'

/** At most so many of a sort are queued for an account within an hour; see `CAUSED_BY_ANYONE`. */
const MOST_AN_HOUR = 10

/**
 * Kinds that someone can cause who is not the owner, or not yet told from the owner. Each is counted apart,
 * so that causing many of one leaves nothing else untold.
 */
const CAUSED_BY_ANYONE: readonly (NoticeKind | LinkKind)[] = [
  'codes.locked',
  'someone-has-password',
  'mail.password-reset',
]

export type Notices = ReturnType<typeof createNotices>

/**
 * What an owner has to hear of is queued in the transaction of what it tells of, so neither is ever there
 * without the other. `notice-delivery` sends it.
 *
 * @param canMail whether mails can be sent or kept; without it nobody is told by mail
 */
export function createNotices({
  clock,
  vault,
  canMail,
}: {
  clock: Clock
  vault: Vault
  canMail: boolean
}) {
  interface Entry {
    accountId: string
    kind: NoticeKind | LinkKind
    language: string | null
    recipients: readonly Recipient[]
    detail: NoticeDetail | LinkDetail
  }

  /**
   * One statement counts, queues, and records what is over the limit. Changes of one account wait for one
   * another elsewhere; what slips through where they don't is one more notice.
   */
  function statement({ accountId, kind, language, recipients, detail }: Entry) {
    const rows = recipients.map(({ medium, to, country = null }): RawBuilder<unknown> => {
      const id = newReference()
      const recipient = vault.seal(JSON.stringify({ to, country }), { column: RECIPIENT, row: id })
      const words = vault.seal(JSON.stringify(detail), { column: DETAIL, row: id })
      return sql`(${id}::text, ${medium}::text, ${recipient}::bytea, ${words}::bytea)`
    })
    const sameSort = CAUSED_BY_ANYONE.includes(kind)
      ? sql`kind = ${kind}`
      : sql`kind <> all(${[...CAUSED_BY_ANYONE]}::text[])`
    const overLimit = auditEntry(
      clock,
      { type: 'notice.failed', accountId, detail: { kind, reason: 'too-many' } },
      sql`where not (select allowed from room)`,
    )
    return sql`
      with room as (
        select count(distinct (kind, created_at)) < ${MOST_AN_HOUR}::int as allowed from notice
        where account_id = ${accountId} and created_at > ${later(clock, -3600)} and ${sameSort}
      ), over_limit as (${overLimit})
      insert into notice (id, account_id, kind, medium, recipient, language, detail, created_at, next_try_at)
      select id, ${accountId}, ${kind}, medium, recipient, ${language}, detail, ${clock()}, ${clock()}
      from (values ${sql.join(rows)}) fresh (id, medium, recipient, detail)
      where (select allowed from room)`
  }

  /** @returns whether anything was queued */
  async function enqueue(on: Db, entry: Entry): Promise<boolean> {
    const recipients = entry.recipients.filter(({ medium }) => medium === 'sms' || canMail)
    if (recipients.length === 0) return false
    const { numAffectedRows } = await statement({ ...entry, recipients }).execute(on)
    return Number(numAffectedRows) > 0
  }

  return {
    canMail,

    /**
     * Queues a notice to each of its recipients.
     * @param on the transaction of what it tells of
     */
    async queue(on: Db, { detail = {}, ...notice }: Notice): Promise<void> {
      await enqueue(on, { ...notice, detail })
    },

    /**
     * Queues a mail with a one-time link. It isn't sent any more once the link is too old.
     * @param on the transaction that makes the link
     * @returns whether it was queued: not when mails can't be sent, nor beyond an hour's limit
     */
    async queueLink(on: Db, { to, link, lifeSeconds, ...rest }: Link): Promise<boolean> {
      const recipients: Recipient[] = [{ medium: 'mail', to }]
      return enqueue(on, { ...rest, recipients, detail: { link, lifeSeconds } })
    },
  }
}
