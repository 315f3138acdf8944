import type { Command } from 'commander'
import { z } from 'zod'
import type { Account } from '../accounts/accounts.ts'
import { Refusal } from '../errors.ts'
import type { ParsedPhone } from '../phone-number.ts'
import type { Phone } from '../second-factor/phones.ts'
import { explain } from './explain.ts'
import { type Outcome, perform, record, table, yesOrNo } from './output.ts'
import { askPassword, readPassword } from './password.ts'
import { describePhone, findAccount, parsePhone } from './people.ts'
import { inSession, type Session } from './session.ts'

interface CreateOptions {
  username: string
  email?: string
  name?: string
  passwordStdin?: true
  phone?: string
  phoneVerified?: true
}

const LISTED_AT_MOST = 1000

export function addAccountCommands(program: Command): void {
  const noun = program.command('account').description('people who can sign in')

  const create = noun
    .command('create')
    .description('make an account; its password comes from standard input or is asked for')
    .requiredOption('--username <name>', 'name to sign in with')
    .option('--email <address>')
    .option('--name <name>', 'full name')
    .option('--password-stdin', 'read the password from standard input')
    .option('--phone <number>', 'number that gets the codes, as +4520123456')
    .option('--phone-verified', 'count the number as proven')
  perform(
    create,
    'account create --username anna --phone +4520123456 --password-stdin < password.txt',
    async (options: CreateOptions) => {
      if (options.phoneVerified && options.phone === undefined) {
        create.error('error: --phone-verified needs --phone')
      }
      if (!options.passwordStdin && !process.stdin.isTTY) {
        create.error(
          'error: a password must be given: pass --password-stdin and write it to standard input',
        )
      }
      assertEmail(options.email)
      // Read before the database is opened, so that nobody waits for it while a person types.
      const password = options.passwordStdin ? await readPassword() : await askPassword()
      return inSession((session) => createAccount(session, options, password))
    },
  )

  const list = noun
    .command('list')
    .description(`list accounts, oldest first, at most ${LISTED_AT_MOST}`)
    .option('--query <text>', 'only those whose username, full name or e-mail contain it')
  perform(list, 'account list --query example.com', async ({ query }: { query?: string }) => {
    const found = await inSession(({ accounts }) => accounts.list(query, LISTED_AT_MOST + 1))
    const shown = found.slice(0, LISTED_AT_MOST)
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
      return shown(account, await phones.list(account.id))
    }),
  )

  const unlock = noun
    .command('unlock')
    .description('take passwords and codes again, after too many wrong ones')
    .argument('<username>')
  perform(unlock, 'account unlock anna', async (username: string) =>
    inSession(async ({ accounts, phones, locks }) => {
      const account = await findAccount(accounts, username)
      await accounts.unlockName(username)
      const { disabled } = await locks.lift(account.id)
      return {
        ...shown(account, await phones.list(account.id)),
        ...(disabled && {
          note: 'After a hundred wrong codes this account took none at all; it takes them again now. Find out who typed them.',
        }),
      }
    }),
  )
}

async function createAccount(
  session: Session,
  options: CreateOptions,
  password: string,
): Promise<Outcome> {
  const { username, email, name } = options
  // Before the account, which a refused number must not leave behind.
  const phone = options.phone === undefined ? undefined : parsePhone(options.phone, session.config)
  const account = await session.accounts.create({ username, password, email, name })
  const phones = phone ? [await addPhone(session, account, phone, !!options.phoneVerified)] : []
  return {
    json: { id: account.id, username: account.username, phones },
    text: shown(account, phones).text,
  }
}

async function addPhone(
  { phones }: Session,
  account: Account,
  phone: ParsedPhone,
  verified: boolean,
): Promise<Phone> {
  try {
    return await phones.add(account.id, phone, verified)
  } catch (error) {
    throw new Refusal(
      'phone_missing',
      500,
      `The account ${account.username} was made, but without its phone; add it with "phone add". ${explain(error)}`,
    )
  }
}

function assertEmail(email: string | undefined): void {
  if (email === undefined || z.email().safeParse(email).success) return
  throw new Refusal('email', 400, `${JSON.stringify(email)} is not an e-mail address.`)
}

function shown(account: Account, phones: Phone[]): Outcome {
  const { id, username, name, email, emailVerified, disabled } = account
  return {
    json: { ...account, phones },
    text: record([
      ['id', id],
      ['username', username],
      ['name', name ?? '-'],
      ['e-mail', email ? `${email} (${emailVerified ? 'verified' : 'not verified'})` : '-'],
      ['disabled', yesOrNo(disabled)],
      ['phones', phones.map(describePhone).join(', ') || '-'],
    ]),
  }
}

function listed(accounts: Account[]): string {
  return table(
    ['username', 'name', 'e-mail', 'disabled', 'id'],
    accounts.map(({ id, username, name, email, disabled }) => [
      username,
      name ?? '-',
      email ?? '-',
      yesOrNo(disabled),
      id,
    ]),
  )
}
