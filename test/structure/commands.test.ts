import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { exportJWK, generateKeyPair } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const pages = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
  .concat('README.md')

/** What stands on a page behind `npm run cli --`, as a shell would take it apart. */
function commandsOn(page: string): string[][] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  const lines = text.matchAll(/\bnpm run (?:--silent )?cli -- (?!…)((?:\\\n|[^\n`])+)/g)
  return [...lines].map(([, line = '']) => {
    const words = line.match(/(?:"[^"]*"|'[^']*'|[^\s"'\\])+/g) ?? []
    const end = words.findIndex((word) => /^([|>&;#]|2>)/.test(word))
    return words.slice(0, end < 0 ? words.length : end).map((word) => word.replace(/["']/g, ''))
  })
}

/** Has commands taken apart as ever, and not carried out. */
function disarm(command: Command): void {
  command.configureOutput({ writeErr() {} })
  if (command.commands.length === 0) command.action(() => {})
  for (const one of command.commands) disarm(one)
}

test('every command on the pages is there, with the options it is given', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-commands-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { publicKey } = await generateKeyPair('ES256')
  // Read as soon as it is named.
  const read = 'shop-keys.json'
  writeFileSync(join(folder, read), JSON.stringify({ keys: [await exportJWK(publicKey)] }))
  const program = await createProgram()
  disarm(program)
  const wrong: string[] = []
  let right = 0
  for (const page of pages)
    for (const words of commandsOn(page)) {
      const given = words.map((word) => (word === read ? join(folder, word) : word))
      await program.parseAsync(given, { from: 'user' }).then(
        () => right++,
        (error) => wrong.push(`${page}: ${words.join(' ')}: ${error.message}`),
      )
    }
  expect(wrong).toEqual([])
  expect(right).toBeGreaterThan(90)
})
