import { type Command, InvalidArgumentError, Option } from 'commander'
import { Refusal } from '../errors.ts'
import { SCOPES } from '../oidc/claims.ts'
import { type ClientSummary, newClient } from '../oidc/clients.ts'
import { type Outcome, perform, record, table, yesOrNo } from './output.ts'
import { inSession } from './session.ts'

const GRANTS = newClient.shape.grants.unwrap().element.options

interface CreateOptions {
  id: string
  name?: string
  redirectUri?: string[]
  postLogoutRedirectUri?: string[]
  public?: true
  firstParty?: true
  secondFactor?: 'required' | 'optional'
  grant?: Array<(typeof GRANTS)[number]>
  scope?: Array<(typeof SCOPES)[number]>
  introspects?: string[]
}

export function addClientCommands(program: Command): void {
  const noun = program.command('client').description('relying parties that people sign in to')

  const create = noun
    .command('create')
    .description('register a relying party; its secret is shown only now')
    .requiredOption('--id <id>', 'client_id: letters, digits and . _ ~ -')
    .option('--name <name>', 'what people read on the consent page')
    .option('--redirect-uri <uri...>', 'where codes may be sent; several may be given')
    .option('--post-logout-redirect-uri <uri...>', 'where people may be sent after signing out')
    .option('--public', 'an app without a secret: native, or a single page')
    .option('--first-party', 'yours: people are not asked for consent')
    .addOption(
      new Option('--second-factor <when>', 'otherwise as SECOND_FACTOR says').choices([
        'required',
        'optional',
      ]),
    )
    .option('--grant <grants...>', `of ${GRANTS.join(', ')}; else the first`, listOf(GRANTS))
    .option('--scope <scopes...>', `of ${SCOPES.join(', ')}; else all`, listOf(SCOPES))
    .option('--introspects <client-id...>', 'an API: apps whose access tokens it may ask about')
  perform(
    create,
    'client create --id shop --name "The shop" --redirect-uri https://shop.example.com/callback',
    async (options: CreateOptions) =>
      inSession(async ({ clients }) => {
        const { id, secret } = await clients.create({
          id: options.id,
          name: options.name,
          redirectUris: options.redirectUri,
          postLogoutRedirectUris: options.postLogoutRedirectUri,
          public: options.public,
          firstParty: options.firstParty,
          secondFactor: options.secondFactor,
          grants: options.grant,
          scope: options.scope,
          introspects: options.introspects,
        })
        return created(id, secret)
      }),
  )

  const list = noun.command('list').description('list the relying parties, without secrets')
  perform(list, 'client list', async () => {
    const found = await inSession(({ clients }) => clients.list())
    return { json: found, text: found.length > 0 ? listed(found) : 'No clients.' }
  })

  const show = noun.command('show').description('show one, without its secret').argument('<id>')
  perform(show, 'client show shop', async (id: string) => {
    const client = await inSession(({ clients }) => clients.show(id))
    if (!client) throw unknownClient(id)
    return { json: client, text: described(client) }
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

/** Reads words separated by commas or spaces, over any number of arguments. */
function listOf<const Word extends string>(known: readonly Word[]) {
  return (text: string, before: Word[] = []): Word[] => {
    const words = text
      .split(/[\s,]+/)
      .filter(Boolean)
      .map((word) => {
        const found = known.find((one) => one === word)
        if (found) return found
        throw new InvalidArgumentError(`It must be of ${known.join(', ')}.`)
      })
    return [...new Set([...before, ...words])]
  }
}

function unknownClient(id: string): Refusal {
  return new Refusal('no_client', 404, `There is no client ${id}.`)
}

function created(id: string, secret: string | undefined): Outcome {
  if (secret === undefined) {
    return { json: { client_id: id }, text: record([['client_id', id]]) }
  }
  return {
    json: { client_id: id, client_secret: secret },
    text: `${record([
      ['client_id', id],
      ['client_secret', secret],
    ])}\n\nThe secret is not shown again.`,
  }
}

function described(client: ClientSummary): string {
  return record([
    ['client_id', client.client_id],
    ['name', client.name ?? '-'],
    ['redirect URIs', client.redirect_uris.join(' ') || '-'],
    ['after sign-out', client.post_logout_redirect_uris.join(' ') || '-'],
    ['grants', client.grant_types.join(' ')],
    ['scopes', client.scope ?? 'all'],
    ['public', yesOrNo(client.public)],
    ['first party', yesOrNo(client.first_party)],
    ['second factor', client.second_factor ?? 'as SECOND_FACTOR says'],
  ])
}

function listed(clients: ClientSummary[]): string {
  return table(
    ['client_id', 'name', 'public', 'redirect URIs'],
    clients.map((client) => [
      client.client_id,
      client.name ?? '-',
      yesOrNo(client.public),
      client.redirect_uris.join(' ') || '-',
    ]),
  )
}
