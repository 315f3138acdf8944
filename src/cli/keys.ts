import type { Command } from 'commander'
import type { SigningKey } from '../oidc/keys.ts'
import { type Outcome, perform, table } from './output.ts'
import { inSession } from './session.ts'

export function addKeyCommands(program: Command): void {
  const noun = program.command('keys').description('the keys that ID tokens are signed with')

  const list = noun.command('list').description('list the signing keys, without private parts')
  perform(list, 'keys list', async () =>
    listed(await inSession(({ signingKeys }) => signingKeys.list())),
  )

  const rotate = noun
    .command('rotate')
    .description('make new signing keys, which take over once everybody can know them')
    .option('--now', 'a key is in wrong hands: sign with new ones and withdraw all others at once')
  perform(rotate, 'keys rotate', async ({ now }: { now?: true }) =>
    listed(await inSession(({ signingKeys }) => signingKeys.rotate({ now: now ?? false }))),
  )
}

function listed(keys: readonly SigningKey[]): Outcome {
  const json = keys.map((key) => ({
    kid: key.kid,
    algorithm: key.algorithm,
    state: key.state,
    created_at: key.createdAt,
    activates_at: key.activatesAt,
    retires_at: key.retiresAt,
  }))
  const text = table(
    ['kid', 'algorithm', 'state', 'signs from', 'verifies until'],
    keys.map(({ kid, algorithm, state, activatesAt, retiresAt }) => [
      kid,
      algorithm,
      state,
      activatesAt.toISOString(),
      retiresAt?.toISOString() ?? '-',
    ]),
  )
  return { json, text: keys.length > 0 ? text : 'No keys yet: the first start makes them.' }
}
