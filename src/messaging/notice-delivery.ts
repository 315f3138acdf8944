import { z } from 'zod'
import type { Vault } from '../crypto/vault.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { Languages } from '../languages/languages.ts'
import type { Log } from '../log.ts'
import { brand as branded, type PhoneNumber } from '../phone-number.ts'
import type { Mailer, MailOutcome } from './mailer.ts'
import type { Messenger } from './messenger.ts'
import { createNoticeStatements, type DueNotice, MOST_TRIES } from './notice-statements.ts'
import { isLinkKind, isNoticeKind, linkMail, noticeMail, noticeText } from './notice-words.ts'
import { DETAIL, RECIPIENT } from './notices.ts'
import { createWorker } from './worker.ts'

const EVERY_MS = 5000
/** Sent side by side, so that one slow server holds up no other notice past its time. */
const BATCH = 10
const SMS_SECONDS = 20

const recipientShape = z.object({ to: z.string(), country: z.string().nullable() })
const detailShape = z.object({
  address: z.string().optional(),
  browser: z.string().optional(),
  left: z.number().optional(),
})
const linkShape = z.object({ link: z.string(), lifeSeconds: z.number() })

/** What came of a try; for a text, too: `refused` needn't be tried again. */
type Outcome = MailOutcome | { notAllowed: string }

/**
 * Counts a text that is about to go out under the limits of all texts.
 * @returns why it may not go, in a word; undefined when it may
 */
export type CountText = (
  on: Db,
  to: { number: PhoneNumber; country: string | null },
) => Promise<string | undefined>

export interface NoticeDeliveryDeps {
  db: Db
  clock: Clock
  vault: Vault
  messenger: Pick<Messenger, 'send'>
  countText: CountText
  mailer: Pick<Mailer, 'send'>
  languages: Pick<Languages, 'find' | 'byDefault'>
  brand: string
  issuer: string
  log: Log
}

/**
 * Sends what `notices` queued: outside of any transaction, again after growing waits where it fails, and by
 * any instance that comes first.
 */
export function createNoticeDelivery(deps: NoticeDeliveryDeps) {
  const { db, clock, vault, messenger, countText, mailer, languages, brand, issuer, log } = deps
  const statements = createNoticeStatements(clock)
  const { wake, start, stop, idle } = createWorker(
    async () => {
      const { rows } = await statements.take(BATCH).execute(db)
      await Promise.all(rows.map(handle))
      return rows.length === BATCH
    },
    EVERY_MS,
    (error) => log.warn({ error }, 'notices were put off'),
  )

  async function handle(notice: DueNotice): Promise<void> {
    const { id, kind, medium, tries } = notice
    const fields = { notice: id, kind, medium, tries }
    const outcome = await send(notice).catch((error: unknown): Outcome => {
      log.warn({ ...fields, error }, 'notice not sent')
      return 'failed'
    })
    try {
      if (outcome === 'accepted') {
        await statements.sent(id).execute(db)
        log.info(fields, 'notice sent')
      } else if (outcome !== 'failed' || tries >= MOST_TRIES) {
        const reason = typeof outcome === 'object' ? outcome.notAllowed : null
        await statements.giveUp(notice, reason).execute(db)
        log.warn({ ...fields, ...(reason !== null && { reason }) }, 'notice given up')
      }
    } catch (error) {
      // It stays due, and is told once more rather than not at all.
      log.warn({ ...fields, error }, 'what became of a notice was not recorded')
    }
  }

  async function send(notice: DueNotice): Promise<Outcome> {
    const { id, kind, medium, when, ageSeconds } = notice
    const recipient = open(notice, RECIPIENT, notice.recipient, recipientShape)
    const language = languages.find(notice.language ?? '') ?? languages.byDefault
    const context = { brand, issuer, when, language }
    if (isLinkKind(kind)) {
      const link = open(notice, DETAIL, notice.detail, linkShape)
      if (ageSeconds >= link.lifeSeconds) return 'refused'
      return mailer.send({ id, to: recipient.to, ...linkMail(kind, link, context) })
    }
    if (!isNoticeKind(kind)) throw new Error(`no words for a notice ${kind}`)
    const detail = open(notice, DETAIL, notice.detail, detailShape)
    if (medium === 'mail') {
      return mailer.send({ id, to: recipient.to, ...noticeMail(kind, detail, context) })
    }
    const number = branded(recipient.to)
    const { country } = recipient
    const notAllowed = await countText(db, { number, country })
    if (notAllowed !== undefined) return { notAllowed }
    const { outcome } = await messenger.send({
      carries: null,
      to: number,
      country,
      content: { channel: 'sms', text: noticeText(kind, detail, context) },
      language: language.tag,
      codeLength: null,
      expiresInSeconds: SMS_SECONDS,
    })
    // One that may have arrived is sent again: better told twice than not at all.
    return outcome === 'accepted' ? 'accepted' : 'failed'
  }

  function open<T>({ id }: DueNotice, column: string, sealed: Buffer, shape: z.ZodType<T>): T {
    return shape.parse(JSON.parse(vault.open(sealed, { column, row: id }).toString('utf8')))
  }

  return {
    wake,
    start,
    stop,
    idle,

    /** Deletes notices after their keeping, `batch` at most. */
    async sweep(batch: number): Promise<number> {
      const { numAffectedRows } = await statements.sweep(batch).execute(db)
      return Number(numAffectedRows ?? 0)
    },
  }
}
