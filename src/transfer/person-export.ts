import { sql } from 'kysely'
import { noAccount } from '../accounts/account-records.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { Audit } from '../audit/audit.ts'
import type { RecordedEvent } from '../audit/event.ts'
import type { Db } from '../db/schema.ts'
import type { Consents } from '../oidc/consents.ts'
import type { Sessions } from '../oidc/sessions.ts'
import type { Authenticators } from '../second-factor/authenticators.ts'
import type { BackupCodes } from '../second-factor/backup-codes.ts'
import type { BypassCodes } from '../second-factor/bypass-codes.ts'
import type { Phones } from '../second-factor/phones.ts'
import type { TrustedDevices } from '../second-factor/trusted-devices.ts'

export type PersonExport = ReturnType<typeof createPersonExport>

interface Dependencies {
  db: Db
  accounts: Pick<Accounts, 'findById'>
  phones: Pick<Phones, 'list'>
  authenticators: Pick<Authenticators, 'describe'>
  backupCodes: Pick<BackupCodes, 'count'>
  bypassCodes: Pick<BypassCodes, 'list'>
  trustedDevices: Pick<TrustedDevices, 'list'>
  sessions: Pick<Sessions, 'list'>
  consents: Pick<Consents, 'list'>
  audit: Pick<Audit, 'export' | 'record'>
}

interface OwnRow {
  language: string | null
  password: boolean
  created: Date
  wrongCodes: number
  codesLockedUntil: Date | null
  codesDisabledSince: Date | null
}

/** A message to a person: neither number nor text is kept of it. */
interface SentMessage {
  id: string
  channel: string
  gateway: string
  country: string | null
  parts: number
  state: string
  at: Date
}

interface OpenNotice {
  kind: string
  medium: string
  state: string
  at: Date
}

interface OneTimeLink {
  purpose: string
  at: Date
  expires: Date
  used: Date | null
}

/**
 * Everything that is kept about one person, as they may ask for it (GDPR, article 15). Secrets, hashes and codes
 * are no part of it: they tell nothing about anybody, and let whoever has them in. The audit trail has each export.
 */
export function createPersonExport(deps: Dependencies) {
  const { db } = deps

  async function ownRow(id: string): Promise<OwnRow | undefined> {
    const { rows } = await sql<OwnRow>`
      select a.language, a.password_hash is not null as password, a.created_at as created,
        coalesce(s.failures, 0) as "wrongCodes", s.locked_until as "codesLockedUntil",
        s.disabled_at as "codesDisabledSince"
      from account a left join second_factor s on s.account_id = a.id where a.id = ${id}`.execute(
      db,
    )
    return rows[0]
  }

  /** @throws Refusal when there is no such account */
  return async function exportPerson(accountId: string) {
    const account = await deps.accounts.findById(accountId)
    const own = await ownRow(accountId)
    if (!account || !own) throw noAccount()
    await deps.audit.record({ type: 'account.exported', accountId })
    const authenticator = await deps.authenticators.describe(accountId)
    const messages = await sql<SentMessage>`
      select id, channel, gateway, country, parts, state, created_at as at from message
      where id in (
        select detail->>'message' from audit_event where account_id = ${accountId} and detail ? 'message')
      order by created_at`.execute(db)
    const notices = await sql<OpenNotice>`
      select kind, medium, state, created_at as at from notice where account_id = ${accountId}
      order by created_at`.execute(db)
    const links = await sql<OneTimeLink>`
      select purpose, created_at as at, expires_at as expires, used_at as used from one_time_link
      where account_id = ${accountId} order by created_at`.execute(db)
    const consoles = await sql<{ opened: Date; used: Date }>`
      select created_at as opened, used_at as used from console_session where account_id = ${accountId}
      order by created_at`.execute(db)
    const events: Array<Omit<RecordedEvent, 'account_id'>> = []
    for await (const { account_id: _, ...event } of deps.audit.export({ accountId }))
      events.push(event)
    return {
      account: { ...account, ...own },
      phones: await deps.phones.list(accountId),
      authenticator: authenticator
        ? { confirmedAt: authenticator.confirmedAt, held: authenticator.held }
        : null,
      backupCodes: await deps.backupCodes.count(accountId),
      rememberedBrowsers: await deps.trustedDevices.list(accountId),
      sessions: await deps.sessions.list(accountId),
      apps: await deps.consents.list(accountId),
      messages: messages.rows,
      notices: notices.rows,
      links: links.rows,
      bypassCodes: await deps.bypassCodes.list(accountId),
      consoleSessions: consoles.rows,
      events,
    }
  }
}
