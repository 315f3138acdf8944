import type { Command } from 'commander'
import { accountOutcome } from './account-output.ts'
import { type Outcome, perform } from './output.ts'
import { findAccount } from './people.ts'
import { because, inSession, type Session } from './session.ts'

/** The commands that let somebody in again, or no more. */
export function addAccountStateCommands(noun: Command): void {
  const disable = noun
    .command('disable')
    .description('let somebody in no more, and end what they have open')
    .argument('<username>')
  perform(disable, 'account disable anna', (username: string) =>
    inSession(async (session) => {
      await session.accounts.disable((await findAccount(session.accounts, username)).id)
      return asItIs(session, username)
    }),
  )

  const enable = noun.command('enable').description('let somebody in again').argument('<username>')
  perform(enable, 'account enable anna', (username: string) =>
    inSession(async (session) => {
      await session.accounts.enable((await findAccount(session.accounts, username)).id)
      return asItIs(session, username)
    }),
  )

  const remove = noun
    .command('delete')
    .description('delete an account with its phones and codes; its id is never given again')
    .argument('<username>')
  perform(remove, 'account delete anna', (username: string) =>
    inSession(async (session) => {
      const { id } = await findAccount(session.accounts, username)
      const was = await asItIs(session, username)
      await session.accounts.remove(id)
      return { ...was, text: `Deleted: ${username}` }
    }),
  )

  const reset = noun
    .command('reset-second-factor')
    .description('take away phones, authenticator app and backup codes; the person adds new ones')
    .argument('<username>')
    .option('--reason <reason>', 'kept in the audit trail', 'not given')
  perform(
    reset,
    'account reset-second-factor anna --reason "phone lost, identity checked by phone call"',
    (username: string, { reason }: { reason: string }) =>
      inSession(async (session) => {
        const { id } = await findAccount(session.accounts, username)
        await because(reason, () => session.phoneChanges.reset(id))
        return asItIs(session, username)
      }),
  )

  const forget = noun
    .command('forget-browsers')
    .description('ask for a code again in every browser that is remembered')
    .argument('<username>')
  perform(forget, 'account forget-browsers anna', (username: string) =>
    inSession(async (session) => {
      const { id } = await findAccount(session.accounts, username)
      const browsers = await session.trustedDevices.endAll(id)
      return { json: { username, browsers }, text: `Forgotten: ${browsers} browsers` }
    }),
  )

  const unlock = noun
    .command('unlock')
    .description('take passwords and codes again, after too many wrong ones')
    .argument('<username>')
  perform(unlock, 'account unlock anna', (username: string) =>
    inSession(async (session) => {
      const account = await findAccount(session.accounts, username)
      const { disabled } = await session.locks.lift(account)
      return {
        ...(await asItIs(session, username)),
        ...(disabled && {
          note: 'After a hundred wrong codes this account took none at all; it takes them again now. Find out who typed them.',
        }),
      }
    }),
  )
}

async function asItIs({ accounts, phones }: Session, username: string): Promise<Outcome> {
  const account = await findAccount(accounts, username)
  return accountOutcome(account, await phones.list(account.id))
}
