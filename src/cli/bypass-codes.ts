import type { Command } from 'commander'
import { perform } from './output.ts'
import { findAccount } from './people.ts'
import { because, inSession } from './session.ts'

export function addBypassCodeCommands(program: Command): void {
  const noun = program
    .command('bypass-code')
    .description('a code of the help desk, for someone whose phone is out of reach just now')

  const issue = noun
    .command('issue')
    .description(
      'make a code that signs in once, soon, and show it, this once; the one before it no longer works',
    )
    .argument('<username>')
    .requiredOption('--reason <reason>', 'kept in the audit trail')
  perform(
    issue,
    'bypass-code issue anna --reason "phone at home, identity checked by video call"',
    (username: string, { reason }: { reason: string }) =>
      inSession(async ({ accounts, bypassCodes }) => {
        const account = await findAccount(accounts, username)
        const issued = await because(reason, () => bypassCodes.issue(account.id))
        const until = issued.expiresAt.toISOString()
        return {
          json: issued,
          text: `${issued.code}\n\nIt works once, until ${until}. It is not shown again.`,
          ...(issued.needsApproval && {
            note: 'It is good for nothing until a second admin approves it.',
          }),
        }
      }),
  )
}
