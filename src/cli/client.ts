import type { Command } from 'commander'
import { unknownClient } from '../oidc/client-secrets.ts'
import { addClientOptions, addTakingAway, type ClientOptions, changesOf } from './client-options.ts'
import { manyClients, oneClient, withSecret } from './client-output.ts'
import { perform } from './output.ts'
import { addRegistrationTokenCommands } from './registration-token.ts'
import { inSession } from './session.ts'
import { wholeNumber } from './whole-number.ts'

export function addClientCommands(program: Command): void {
  const noun = program.command('client').description('relying parties that people sign in to')

  const create = addClientOptions(
    noun
      .command('create')
      .description('register a relying party; its secret is shown only now')
      .requiredOption('--id <id>', 'client_id: letters, digits and . _ ~ -')
      .option('--public', 'an app without a secret: native, or a single page'),
  )
  perform(
    create,
    'client create --id shop --name "The shop" --redirect-uri https://shop.example.com/callback',
    async (options: ClientOptions & { id: string; public?: true }) =>
      inSession(async ({ clients }) => {
        const said = { id: options.id, public: options.public, ...changesOf(options) }
        const { id, secret } = await clients.create(said)
        return withSecret(id, secret)
      }),
  )

  const update = addTakingAway(
    addClientOptions(
      noun
        .command('update')
        .description('change what is given of a relying party; the rest stays as it is')
        .argument('<id>'),
    ),
  )
  perform(
    update,
    'client update shop --redirect-uri https://shop.example.com/callback https://new.example.com/callback',
    async (id: string, options: ClientOptions) =>
      oneClient(await inSession(({ clients }) => clients.patch(id, changesOf(options)))),
  )

  const rotate = noun
    .command('rotate-secret')
    .description('make a new secret, shown only now; the old one stays good for a while')
    .argument('<id>')
    .option(
      '--overlap-hours <number>',
      'how long the old one stays good: 0 to 720',
      wholeNumber(0, 720),
      24,
    )
  perform(
    rotate,
    'client rotate-secret shop --overlap-hours 48',
    async (id: string, { overlapHours }: { overlapHours: number }) =>
      inSession(async ({ clients }) => {
        const overlapSeconds = overlapHours * 3600
        const { secret, previousUntil } = await clients.rotateSecret(id, { overlapSeconds })
        return withSecret(id, secret, { previous_until: previousUntil })
      }),
  )

  addRegistrationTokenCommands(noun)

  const list = noun.command('list').description('list the relying parties, without secrets')
  perform(list, 'client list', async () =>
    manyClients(await inSession(({ clients }) => clients.list())),
  )

  const show = noun.command('show').description('show one, without its secret').argument('<id>')
  perform(show, 'client show shop', async (id: string) => {
    const client = await inSession(({ clients }) => clients.show(id))
    if (!client) throw unknownClient(id)
    return oneClient(client)
  })

  const remove = noun
    .command('delete')
    .description('remove a relying party: nobody can sign in to it any more')
    .argument('<id>')
  perform(remove, 'client delete shop', async (id: string) => {
    const gone = await inSession(({ clients }) => clients.remove(id))
    if (!gone) throw unknownClient(id)
    return { json: { client_id: id, deleted: true }, text: `Deleted: ${id}` }
  })
}
