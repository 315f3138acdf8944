import { type Command, Option } from 'commander'
import { type Api, unknownApi } from '../oidc/apis.ts'
import { SIGNING_ALGORITHMS } from '../oidc/key-making.ts'
import type { NewApi } from '../oidc/new-api.ts'
import { words } from './client-options.ts'
import { perform, record, table } from './output.ts'
import { inSession } from './session.ts'
import { wholeNumber } from './whole-number.ts'

interface ApiOptions {
  id: string
  resource: string
  name: string
  scope: string[]
  lifetime?: number
  algorithm?: NewApi['algorithm']
}

export function addApiCommands(program: Command): void {
  const noun = program.command('api').description('APIs that apps get access tokens for')

  const create = noun
    .command('create')
    .description('register an API; apps may ask for it once they have its scopes')
    .requiredOption('--id <id>', 'what it is called here: letters, digits and . _ ~ -')
    .requiredOption('--resource <uri>', 'what apps ask for it by, and what stands in aud')
    .requiredOption('--name <name>', 'what people read on the consent page')
    .requiredOption('--scope <scopes...>', 'what may be asked for there', words)
    .option(
      '--lifetime <seconds>',
      'of its access tokens: 60 to 3600, else 600',
      wholeNumber(60, 3600),
    )
    .addOption(
      new Option('--algorithm <name>', 'what they are signed with, else RS256').choices(
        SIGNING_ALGORITHMS,
      ),
    )
  perform(
    create,
    'api create --id orders --resource https://orders.example.com --name Orders --scope orders.read,orders.write',
    async ({ id, resource, name, scope, lifetime, algorithm }: ApiOptions) => {
      const said = { id, resource, name, scopes: scope, lifetimeSeconds: lifetime, algorithm }
      return oneApi(await inSession(({ apis }) => apis.create(said)))
    },
  )

  const list = noun.command('list').description('list the APIs')
  perform(list, 'api list', async () => {
    const apis = await inSession((session) => session.apis.list())
    const rows = apis.map(({ id, resource, scopes }) => [id, resource, scopes.join(' ')])
    return {
      json: apis.map(apiAsJson),
      text: rows.length > 0 ? table(['id', 'resource', 'scopes'], rows) : 'No APIs.',
    }
  })

  const show = noun.command('show').description('show one').argument('<id>')
  perform(show, 'api show orders', async (id: string) => {
    const api = await inSession(({ apis }) => apis.show(id))
    if (!api) throw unknownApi(id)
    return oneApi(api)
  })

  const remove = noun
    .command('delete')
    .description('make no more tokens for it; those that were made are good until they end')
    .argument('<id>')
  perform(remove, 'api delete orders', async (id: string) => {
    const gone = await inSession(({ apis }) => apis.remove(id))
    if (!gone) throw unknownApi(id)
    return { json: { id, deleted: true }, text: `Deleted: ${id}` }
  })
}

function apiAsJson(api: Api) {
  return {
    id: api.id,
    resource: api.resource,
    name: api.name,
    scope: api.scopes.join(' '),
    lifetime_seconds: api.lifetimeSeconds,
    algorithm: api.algorithm,
    created_at: api.createdAt,
  }
}

function oneApi(api: Api) {
  const text = record([
    ['id', api.id],
    ['resource', api.resource],
    ['name', api.name],
    ['scopes', api.scopes.join(' ')],
    ['tokens live', `${api.lifetimeSeconds} s`],
    ['signed with', api.algorithm],
  ])
  return { json: apiAsJson(api), text }
}
