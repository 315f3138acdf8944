import type { Command } from 'commander'
import { ROLES, type Role } from '../accounts/account.ts'
import type { Account } from '../accounts/accounts.ts'
import { Refusal } from '../errors.ts'
import type { ParsedPhone } from '../phone-number.ts'
import type { Phone } from '../second-factor/phones.ts'
import { roleOption } from './account-role.ts'
import { explain } from './explain.ts'
import { type Outcome, perform, record } from './output.ts'
import { askPassword, readPassword } from './password.ts'
import { describePhone, findAccount, parsePhone, phoneAsJson } from './people.ts'
import { inSession, type Session } from './session.ts'

interface CreateOptions {
  username: string
  email?: string
  name?: string
  passwordStdin?: true
  askPassword?: true
  phone?: string
  phoneVerified?: true
  role?: Role
}

export function addAccountCreateCommands(noun: Command): void {
  const create = noun
    .command('create')
    .description('make an account; without a password, with a link by which one is chosen')
    .requiredOption('--username <name>', 'name to sign in with')
    .option('--email <address>')
    .option('--name <name>', 'full name')
    .option('--password-stdin', 'read the password from standard input')
    .option('--ask-password', 'ask for the password at the terminal')
    .option('--phone <number>', 'number that gets the codes, as +4520123456')
    .option('--phone-verified', 'count the number as proven')
    .option('--role <role>', `what they may do for others: ${ROLES.join(', ')}`, roleOption)
  perform(
    create,
    'account create --username anna --email anna@example.com --phone +4520123456',
    async (options: CreateOptions) => {
      if (options.phoneVerified && options.phone === undefined) {
        create.error('error: --phone-verified needs --phone')
      }
      if (options.askPassword && (options.passwordStdin || !process.stdin.isTTY)) {
        create.error('error: --ask-password needs a terminal; elsewhere, use --password-stdin')
      }
      // Read before the database is opened, so that nobody waits for it while a person types.
      const password = await passwordOf(options)
      return inSession((session) => createAccount(session, options, password))
    },
  )

  const invite = noun
    .command('invite')
    .description('make a new link by which somebody chooses a password; the last one ends')
    .argument('<username>')
  perform(invite, 'account invite anna', (username: string) =>
    inSession(async (session) => {
      const account = await findAccount(session.accounts, username)
      if (account.disabled) {
        const sentence = `${account.username} is disabled. Enable the account first.`
        throw new Refusal('disabled', 409, sentence)
      }
      const { id } = account
      return invited({ id, username: account.username }, account, session)
    }),
  )
}

async function passwordOf(options: CreateOptions): Promise<string | undefined> {
  if (options.passwordStdin) return readPassword()
  return options.askPassword ? askPassword() : undefined
}

async function createAccount(
  session: Session,
  options: CreateOptions,
  password: string | undefined,
): Promise<Outcome> {
  const { username, email, name, role } = options
  // Before the account, which a refused number must not leave behind.
  const phone = options.phone === undefined ? undefined : parsePhone(options.phone, session.config)
  const account = await session.accounts.create({ username, password, email, name, role })
  const phones = phone ? [await addPhone(session, account, phone, !!options.phoneVerified)] : []
  const made = { id: account.id, username: account.username, phones }
  if (password === undefined) return invited(made, account, session)
  return { json: asJson(made), text: describe(made) }
}

interface Made {
  id: string
  username: string
  phones?: Phone[]
}

async function invited(made: Made, account: Account, { linkMails }: Session): Promise<Outcome> {
  const { link: invitation, mailed } = await linkMails.invite(account.id)
  return {
    json: { ...asJson(made), invitation },
    text: `${describe(made)}\n\nThe link to choose a password; it works once, for 7 days:\n${invitation}`,
    note: `Whoever has the link can choose the password: hand it to nobody else.${mailed ? ` It is also mailed to ${account.email}.` : ''}`,
  }
}

function asJson({ phones, ...made }: Made) {
  return { ...made, ...(phones && { phones: phones.map(phoneAsJson) }) }
}

function describe({ id, username, phones }: Made): string {
  return record([
    ['id', id],
    ['username', username],
    ...(phones ? [['phones', phones.map(describePhone).join(', ') || '-'] as const] : []),
  ])
}

async function addPhone(
  { phoneChanges }: Session,
  account: Account,
  phone: ParsedPhone,
  verified: boolean,
): Promise<Phone> {
  try {
    return await phoneChanges.add(account.id, phone, verified)
  } catch (error) {
    throw new Refusal(
      'phone_missing',
      500,
      `The account ${account.username} was made, but without its phone; add it with "phone add". ${explain(error)}`,
    )
  }
}
