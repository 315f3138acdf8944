import type { Command } from 'commander'
import { perform, record, table } from './output.ts'
import { inSession } from './session.ts'

export function addWebhookCommands(program: Command): void {
  const noun = program.command('webhook').description('receivers that are told of alerts')

  const create = noun
    .command('create')
    .description('tell an address of every alert; its secret is shown only now')
    .argument('<url>', 'https: address that everyone can reach')
    .option('--description <words>', 'what it is for')
  perform(
    create,
    'webhook create https://hooks.example.com/sallyport',
    async (url: string, { description }: { description?: string }) =>
      inSession(async ({ webhooks }) => {
        const { id, secret } = await webhooks.create({ url, description })
        const fields = record([
          ['id', id],
          ['secret', secret],
        ])
        return { json: { id, secret }, text: `${fields}\n\nThe secret is not shown again.` }
      }),
  )

  const list = noun.command('list').description('list the webhooks, without secrets')
  perform(list, 'webhook list', async () => {
    const webhooks = await inSession((session) => session.webhooks.list())
    const rows = webhooks.map(({ id, url, kinds, enabled, description }) => [
      id,
      enabled ? 'enabled' : 'disabled',
      kinds?.join(' ') ?? 'all',
      url,
      description ?? '-',
    ])
    return {
      json: webhooks,
      text: rows.length > 0 ? table(['id', 'state', 'kinds', 'url', 'for'], rows) : 'No webhooks.',
    }
  })

  const remove = noun
    .command('remove')
    .description('tell a webhook of nothing more, and forget it')
    .argument('<id>')
  perform(remove, 'webhook remove wh_Xx4…', async (id: string) => {
    await inSession(({ webhooks }) => webhooks.remove(id))
    return { json: { id, removed: true }, text: `Removed: ${id}` }
  })

  const test = noun
    .command('test')
    .description('have a running server send an event that means nothing')
    .argument('<id>')
  perform(test, 'webhook test wh_Xx4…', async (id: string) => {
    const delivery = await inSession(({ webhooks }) => webhooks.test(id))
    return {
      json: { id, delivery: delivery.id },
      text: `Queued as ${delivery.id}. A running server sends it within seconds.`,
    }
  })
}
