import type { Command } from 'commander'
import { perform } from './output.ts'
import { findAccount } from './people.ts'
import { inSession } from './session.ts'

export function addBackupCodeCommands(program: Command): void {
  const noun = program
    .command('backup-codes')
    .description('one-time codes for the day a phone is gone')

  const issue = noun
    .command('issue')
    .description('make ten new codes and show them, this once; older ones no longer work')
    .argument('<username>')
  perform(issue, 'backup-codes issue anna', async (username: string) =>
    inSession(async ({ accounts, backupCodes }) => {
      const account = await findAccount(accounts, username)
      const codes = await backupCodes.issue(account.id)
      return {
        json: { codes },
        text: `${codes.join('\n')}\n\nEach works once. They are not shown again.`,
      }
    }),
  )
}
