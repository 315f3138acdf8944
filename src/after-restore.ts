import { endOpenLinks } from './accounts/links.ts'
import { endConsoleSessions } from './admin/console-sessions.ts'
import type { Audit } from './audit/audit.ts'
import type { Clock } from './db/clock.ts'
import type { Db } from './db/schema.ts'
import { dropWaitingNotices } from './messaging/notice-statements.ts'
import { createProviderAfterRestore } from './oidc/after-restore.ts'
import { createFactorsAfterRestore } from './second-factor/after-restore.ts'

export type AfterRestore = ReturnType<typeof createAfterRestore>

interface Wanted {
  /** how far the counters of phones are moved on */
  advanceBy: number
  /** whether backup codes end, too */
  backupCodes: boolean
}

/**
 * What has to be done once with a database that was brought back from a backup, before people come to it: it
 * believes that nothing has happened since. May be done again, and beside running instances.
 */
export function createAfterRestore({ db, clock, audit }: { db: Db; clock: Clock; audit: Audit }) {
  const factors = createFactorsAfterRestore({ db, clock })
  const provider = createProviderAfterRestore(db)

  return async ({ advanceBy, backupCodes }: Wanted) => {
    const done = {
      phones: await factors.advanceCounters(advanceBy),
      challenges: await factors.closeChallenges(),
      ...(await provider.endEverything()),
      registrationTokens: await provider.endRegistrationTokens(),
      consoleSessions: await endConsoleSessions(db),
      rememberedBrowsers: await factors.forgetBrowsers(),
      links: await endOpenLinks(db, clock),
      bypassCodes: await factors.endBypassCodes(),
      backupCodes: backupCodes ? await factors.endBackupCodes() : 0,
      notices: await dropWaitingNotices(db),
      logouts: await provider.dropLogouts(),
    }
    await audit.record({ type: 'database.restored', detail: { advancedBy: advanceBy, ...done } })
    return done
  }
}
