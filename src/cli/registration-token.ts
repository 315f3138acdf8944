import type { Command } from 'commander'
import { Refusal } from '../errors.ts'
import type { RegistrationToken } from '../oidc/registration-tokens.ts'
import { perform, record, table } from './output.ts'
import { inSession } from './session.ts'
import { wholeNumber } from './whole-number.ts'

/** Initial access tokens, by which clients register themselves where DYNAMIC_REGISTRATION is `token`. */
export function addRegistrationTokenCommands(parent: Command): void {
  const noun = parent
    .command('registration-token')
    .description('tokens by which clients register themselves (DYNAMIC_REGISTRATION=token)')

  const create = noun
    .command('create')
    .description('make a token, shown only now')
    .option('--name <name>', 'whom or what it is for')
    .option(
      '--uses <number>',
      'how many clients may be registered with it: 1 to 1000',
      wholeNumber(1, 1000),
      1,
    )
    .option('--days <number>', 'how long it is good: 1 to 365', wholeNumber(1, 365), 7)
  perform(
    create,
    'client registration-token create --name "Partner Ltd" --uses 5 --days 30',
    async ({ name, uses, days }: { name?: string; uses: number; days: number }) => {
      const { token, made } = await inSession((session) =>
        session.registrationTokens.create({ name, uses, days }),
      )
      const fields = record([
        ['id', made.id],
        ['token', token],
        ['good until', made.expiresAt.toISOString()],
      ])
      return {
        json: { token, ...asJson(made) },
        text: `${fields}\n\nThe token is not shown again.`,
      }
    },
  )

  const list = noun.command('list').description('list those that are good, without themselves')
  perform(list, 'client registration-token list', async () => {
    const tokens = await inSession((session) => session.registrationTokens.list())
    const rows = tokens.map((one) => [
      one.id,
      `${one.usesLeft} of ${one.uses}`,
      one.expiresAt.toISOString(),
      one.name ?? '-',
    ])
    return {
      json: tokens.map(asJson),
      text: rows.length > 0 ? table(['id', 'left', 'good until', 'for'], rows) : 'No tokens.',
    }
  })

  const revoke = noun
    .command('revoke')
    .description('end a token; what was registered with it stays')
    .argument('<id>')
  perform(revoke, 'client registration-token revoke rt_Xx4…', async (id: string) => {
    if (!(await inSession((session) => session.registrationTokens.revoke(id))))
      throw new Refusal('no_registration_token', 404, `There is no registration token ${id}.`)
    return { json: { id, revoked: true }, text: `Revoked: ${id}` }
  })
}

function asJson({ id, name, uses, usesLeft, createdAt, expiresAt }: RegistrationToken) {
  return { id, name, uses, uses_left: usesLeft, created_at: createdAt, expires_at: expiresAt }
}
