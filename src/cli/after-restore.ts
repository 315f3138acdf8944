import type { Command } from 'commander'
import { perform, record } from './output.ts'
import { inSession } from './session.ts'
import { wholeNumber } from './whole-number.ts'

/** More codes than any phone is ever sent, and next to nothing of what a counter holds. */
const ADVANCE_BY = 1_000_000

export function addAfterRestore(program: Command): void {
  const command = program
    .command('after-restore')
    .description('what has to be done once with a database that was brought back from a backup')
    .option(
      '--advance N',
      'move the counter of each phone on by so many codes',
      wholeNumber(1, 999_999_999),
      ADVANCE_BY,
    )
    .option('--end-backup-codes', 'end backup codes, too: some may have been used since the backup')
  perform(
    command,
    'after-restore',
    async ({ advance, endBackupCodes }: { advance: number; endBackupCodes?: true }) => {
      const done = await inSession(({ afterRestore }) =>
        afterRestore({ advanceBy: advance, backupCodes: endBackupCodes ?? false }),
      )
      return {
        json: {
          advanced_by: advance,
          phones: done.phones,
          challenges: done.challenges,
          sessions_and_tokens: done.sessionsAndTokens,
          registration_access_tokens: done.registrationAccessTokens,
          registration_tokens: done.registrationTokens,
          console_sessions: done.consoleSessions,
          remembered_browsers: done.rememberedBrowsers,
          links: done.links,
          bypass_codes: done.bypassCodes,
          backup_codes: done.backupCodes,
          notices: done.notices,
          logouts: done.logouts,
        },
        text: record([
          ['counters moved on', `${done.phones}, by ${advance}`],
          ['codes ended', String(done.challenges)],
          ['sessions and tokens ended', String(done.sessionsAndTokens)],
          ['tokens to change apps ended', String(done.registrationAccessTokens)],
          ['tokens to register ended', String(done.registrationTokens)],
          ['console sessions ended', String(done.consoleSessions)],
          ['browsers forgotten', String(done.rememberedBrowsers)],
          ['links ended', String(done.links)],
          ['bypass codes ended', String(done.bypassCodes)],
          ['backup codes ended', String(done.backupCodes)],
          ['notices not sent again', String(done.notices)],
          ['sign-outs not told again', String(done.logouts)],
        ]),
        note: 'What people changed since the backup is undone: docs/backup.md says whom to tell.',
      }
    },
  )
}
