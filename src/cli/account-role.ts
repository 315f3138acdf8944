import { type Command, InvalidArgumentError } from 'commander'
import { ROLES, type Role } from '../accounts/account.ts'
import { accountOutcome } from './account-output.ts'
import { perform } from './output.ts'
import { findAccount } from './people.ts'
import { inSession } from './session.ts'

const NONE = 'none'

export function addRoleCommand(noun: Command): void {
  const role = noun
    .command('role')
    .description(`set what somebody may do for others: ${ROLES.join(', ')}, or ${NONE}`)
    .argument('<username>')
    .argument('<role>', '', (text) => (text === NONE ? null : roleOption(text)))
  perform(role, 'account role anna helpdesk', (username: string, given: Role | null) =>
    inSession(async ({ accounts, phones }) => {
      const { id } = await findAccount(accounts, username)
      await accounts.setRole(id, given, { keepAdmin: false })
      return accountOutcome(await findAccount(accounts, username), await phones.list(id))
    }),
  )
}

/** Reads a role; anything else is wrong usage. */
export function roleOption(text: string): Role {
  const role = ROLES.find((one) => one === text)
  if (role) return role
  throw new InvalidArgumentError(`It must be one of ${ROLES.join(', ')}.`)
}
