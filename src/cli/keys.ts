import type { Command } from 'commander'
import type { SigningKey } from '../oidc/keys.ts'
import type { EncryptionKey, Reencrypted } from '../reencryption.ts'
import { type Outcome, perform, table } from './output.ts'
import { createCountBar } from './progress.ts'
import { inSession } from './session.ts'

export function addKeyCommands(program: Command): void {
  const noun = program
    .command('keys')
    .description('the keys that ID tokens are signed with, and those that values are sealed with')

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

  const encryption = noun
    .command('encryption')
    .description('list ENCRYPTION_KEYS by their public names, and how many values each has sealed')
  perform(encryption, 'keys encryption', async () =>
    inUse(await inSession(({ reencryption }) => reencryption.keys())),
  )

  const reencrypt = noun
    .command('reencrypt')
    .description('seal everything with the first of ENCRYPTION_KEYS, while servers run')
    .addHelpText(
      'after',
      `
It may be ended at any time and begun again; what is done stays done. Every server has to
have the new key first by then. What is left of it, servers that have go on with by themselves.`,
    )
  perform(reencrypt, 'keys reencrypt', reencryptAll)
}

async function reencryptAll(): Promise<Outcome> {
  return inSession(async ({ reencryption, vault }) => {
    const [current = ''] = vault.keyNames
    const uses = await reencryption.keys()
    const stale = uses
      .filter(({ state }) => state === 'opens')
      .reduce((n, { values }) => n + values, 0)
    const bar = createCountBar(stale)
    const done = await reencryption.run({ onProgress: bar.show }).finally(bar.end)
    return {
      json: { key: current, ...done },
      text: told(current, done),
      refused: !done.finished || done.lost > 0,
    }
  })
}

function told(key: string, { resealed, left, lost, finished }: Reencrypted): string {
  const sentences = [
    resealed === 0
      ? `Nothing had to be sealed anew.`
      : `${resealed} values were sealed with ${key}.`,
  ]
  if (!finished)
    sentences.push(
      left > 0
        ? `${left} are left: something changed them meanwhile. Run it again.`
        : 'Something goes on sealing with another key: does every server have the new key first in ENCRYPTION_KEYS? Then run it again.',
    )
  else if (lost === 0) sentences.push('Everything is sealed with it: the other keys can go.')
  if (lost > 0)
    sentences.push(
      `No key opens ${lost} values: “alerts list” and the audit trail name their columns, “keys encryption” the keys that are missing.`,
    )
  return sentences.join('\n')
}

const MEANING = {
  seals: 'seals, and opens',
  opens: 'only opens',
  missing: 'not among ENCRYPTION_KEYS',
} as const

function inUse(keys: readonly EncryptionKey[]): Outcome {
  const missing = keys.filter(({ state }) => state === 'missing')
  const idle = keys.filter(({ state, values }) => state === 'opens' && values === 0)
  const rows = keys.map(({ name, state, values }) => [name, MEANING[state], String(values)])
  const hints = [
    ...idle.map(({ name }) => `Nothing is sealed with ${name} any more: it can go.`),
    ...missing.map(({ name }) => `What ${name} sealed can't be opened: put that key back.`),
  ]
  return {
    json: keys.map(({ name, state, values }) => ({ key: name, state, values })),
    text: [table(['key', 'state', 'values'], rows), ...hints].join('\n'),
    refused: missing.length > 0,
  }
}

function listed(keys: readonly SigningKey[]): Outcome {
  const json = keys.map((key) => ({
    kid: key.kid,
    algorithm: key.algorithm,
    state: key.state,
    created_at: key.createdAt,
    activates_at: key.activatesAt,
    retires_at: key.retiresAt,
    rotates_at: key.rotatesAt,
  }))
  const text = table(
    ['kid', 'algorithm', 'state', 'signs from', 'verifies until', 'next one made'],
    keys.map(({ kid, algorithm, state, activatesAt, retiresAt, rotatesAt }) => [
      kid,
      algorithm,
      state,
      activatesAt.toISOString(),
      retiresAt?.toISOString() ?? '-',
      rotatesAt?.toISOString() ?? '-',
    ]),
  )
  return { json, text: keys.length > 0 ? text : 'No keys yet: the first start makes them.' }
}
