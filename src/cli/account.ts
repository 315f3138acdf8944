import type { Command } from 'commander'
import type { Role } from '../accounts/account.ts'
import type { Account } from '../accounts/accounts.ts'
import { addAccountCreateCommands } from './account-create.ts'
import { accountOutcome } from './account-output.ts'
import { addRoleCommand, roleOption } from './account-role.ts'
import { addAccountStateCommands } from './account-state.ts'
import { perform, table, yesOrNo } from './output.ts'
import { findAccount } from './people.ts'
import { inSession } from './session.ts'

const LISTED_AT_MOST = 1000

interface ListOptions {
  query?: string
  role?: Role
}

/** An account as `account show` prints it, without what belongs to editing. */
function briefly({ id, username, name, email, emailVerified, disabled, role }: Account): Account {
  return { id, username, name, email, emailVerified, disabled, role }
}

export function addAccountCommands(program: Command): void {
  const noun = program.command('account').description('people who can sign in')
  addAccountCreateCommands(noun)

  const list = noun
    .command('list')
    .description(`list accounts, oldest first, at most ${LISTED_AT_MOST}`)
    .option(
      '--query <text>',
      'only those with words in username, full name or e-mail that begin so',
    )
    .option('--role <role>', 'only those who have this role', roleOption)
  perform(list, 'account list --query example.com', async ({ query, role }: ListOptions) => {
    const limit = LISTED_AT_MOST + 1
    const found = await inSession(({ accounts }) => accounts.search({ words: query, role, limit }))
    const shown = found.slice(0, LISTED_AT_MOST).map(briefly)
    return {
      json: shown,
      text: shown.length > 0 ? listed(shown) : 'No accounts.',
      ...(found.length > shown.length && {
        note: `Only the first ${LISTED_AT_MOST} are listed; --query narrows the list.`,
      }),
    }
  })

  const show = noun.command('show').description('show one account').argument('<username>')
  perform(show, 'account show anna', async (username: string) =>
    inSession(async ({ accounts, phones }) => {
      const account = await findAccount(accounts, username)
      return accountOutcome(account, await phones.list(account.id))
    }),
  )

  const everything = noun
    .command('export')
    .description('print all that is kept about one person (GDPR, article 15), as JSON')
    .argument('<username>')
  perform(everything, 'account export anna', async (username: string) =>
    inSession(async ({ accounts, exportPerson }) => {
      const json = await exportPerson((await findAccount(accounts, username)).id)
      return { json, text: JSON.stringify(json, null, 2) }
    }),
  )

  addAccountStateCommands(noun)
  addRoleCommand(noun)
}

function listed(accounts: Account[]): string {
  return table(
    ['username', 'name', 'e-mail', 'role', 'disabled', 'id'],
    accounts.map(({ id, username, name, email, role, disabled }) => [
      username,
      name ?? '-',
      email ?? '-',
      role ?? '-',
      yesOrNo(disabled),
      id,
    ]),
  )
}
