import type { Command } from 'commander'
import { Refusal } from '../errors.ts'
import { parsePhoneNumber } from '../phone-number.ts'
import { phoneRefusal } from '../second-factor/phone-input.ts'
import type { Phone } from '../second-factor/phones.ts'
import { type Outcome, perform, table, yesOrNo } from './output.ts'
import { describePhone, findAccount, parsePhone, phoneAsJson } from './people.ts'
import { inSession } from './session.ts'

export function addPhoneCommands(program: Command): void {
  const noun = program.command('phone').description('numbers that get the codes of an account')

  const add = noun
    .command('add')
    .description('add a number to an account; the first is its primary one')
    .argument('<username>')
    .argument('<number>', 'as +4520123456; spaces and dashes may stand in it')
    .option('--verified', 'count the number as proven')
  perform(
    add,
    'phone add anna +4520123456 --verified',
    async (username: string, text: string, { verified = false }: { verified?: boolean }) =>
      inSession(async ({ accounts, phoneChanges, config }) => {
        const number = parsePhone(text, config)
        const account = await findAccount(accounts, username)
        const { shared, ...phone } = await phoneChanges.add(account.id, number, verified)
        return { ...one('Added', phone), ...(shared && { note: 'Another account has it too.' }) }
      }),
  )

  const list = noun
    .command('list')
    .description("list an account's numbers, in full")
    .argument('<username>')
  perform(list, 'phone list anna', async (username: string) =>
    inSession(async ({ accounts, phones }) => {
      const account = await findAccount(accounts, username)
      const found = await phones.list(account.id)
      return { json: found.map(phoneAsJson), text: found.length > 0 ? listed(found) : 'No phones.' }
    }),
  )

  const remove = noun
    .command('remove')
    .description('remove a number; the oldest one left becomes the primary one')
    .argument('<username>')
    .argument('<number>')
  perform(remove, 'phone remove anna +4520123456', async (username: string, text: string) =>
    inSession(async ({ accounts, phones, phoneChanges, config }) => {
      const account = await findAccount(accounts, username)
      const held = pick(await phones.list(account.id), text, config.defaultCountry)
      if (!held) throw new Refusal('no_phone', 404, `${account.username} has no phone ${text}.`)
      await phoneChanges.remove(account.id, held.id, { keepLast: false })
      return one('Removed', held)
    }),
  )
}

/**
 * Finds a number among those an account has. Any that was ever accepted can be removed, though today's
 * rules may refuse it.
 * @throws Refusal when it isn't a number at all
 */
function pick(held: Phone[], text: string, defaultCountry: string | undefined): Phone | undefined {
  const parsed = parsePhoneNumber(text, '*', defaultCountry)
  const wanted = 'fault' in parsed ? text.replace(/[\s().-]/g, '') : parsed.number
  const found = held.find(({ number }) => number === wanted)
  if (!found && 'fault' in parsed) throw phoneRefusal(text, parsed.fault, true)
  return found
}

function one(done: string, phone: Phone): Outcome {
  return { json: phoneAsJson(phone), text: `${done}: ${describePhone(phone)}` }
}

function listed(phones: Phone[]): string {
  return table(
    ['number', 'verified', 'primary', 'id'],
    phones.map(({ id, number, verified, primary }) => [
      number,
      yesOrNo(verified),
      yesOrNo(primary),
      id,
    ]),
  )
}
