import { type Command, CommanderError } from 'commander'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { createPlace } from './command-line.ts'

const everyCommand = namesOf(await createProgram())

let out = ''
let err = ''

beforeEach(() => {
  out = ''
  err = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text
    return true
  })
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text
    return true
  })
})

afterEach(() => {
  vi.restoreAllMocks()
})

/** Runs wrong usage or `--help` in this process, which is fast: neither gets as far as any work. */
async function exitCodeOf(args: string[]): Promise<number> {
  try {
    const program = await createProgram(args[0])
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode
    throw error
  }
  throw new Error('the command was run')
}

const CREATE = ['client', 'create', '--redirect-uri', 'https://a.example/']

describe('usage', () => {
  test.each([
    [[]],
    [['bogus']],
    [['client']],
    [['client', 'bogus']],
    [['client', 'create', '--id']],
    [CREATE],
    [[...CREATE, '--id', 'x', '--bogus']],
    [[...CREATE, '--id', 'x', '--grant', 'password']],
    [[...CREATE, '--id', 'x', '--scope', 'openid,everything']],
    [[...CREATE, '--id', 'x', '--second-factor', 'never']],
    [['client', 'show']],
    [['client', 'show', 'x', 'y']],
    [['account', 'create', '--username', 'u', '--role', 'boss']],
    [['account', 'list', '--role', 'none']],
    [['import', 'users.xml']],
    [['phone', 'add', 'anna']],
    [['bypass-code', 'issue', 'anna']],
    [['account', 'create', '--password-stdin']],
    [['account', 'create', '--username', 'u', '--password-stdin', '--phone-verified']],
    [['migrate', 'now']],
  ])('%j is wrong', async (args) => {
    expect(await exitCodeOf(args)).not.toBe(0)
    expect(out).toBe('')
    expect(err).toMatch(/^(error:|Usage:)/)
  })

  test('ends the process with 2 when wrong, 0 after help', async () => {
    const place = createPlace()
    try {
      const [help, half, ...wrong] = await Promise.all([
        place.cli(['--help']),
        place.cli(['account', 'create', '--username', 'u', '--ask-password'], 'a good password'),
        place.cli([]),
        place.cli(['client', 'show', '--json']),
        place.cli(['account', 'role', 'anna', 'boss']),
        place.cli(['import', 'users.csv', '--format', 'xml']),
        place.cli(['export', 'accounts', '--format', 'xml']),
      ])
      for (const ended of [half, ...wrong]) expect(ended).toMatchObject({ code: 2, out: '' })
      expect(half.err).toMatch(/--ask-password needs a terminal/)
      expect(help).toMatchObject({ code: 0, err: '' })
    } finally {
      place.remove()
    }
  })

  test.each(everyCommand)('%s --help has an example, which is right', async (name) => {
    expect(await exitCodeOf([...name.split(' '), '--help'])).toBe(0)
    expect(err).toBe('')
    expect(out).toContain('--json')
    const [, example = ''] = /Example:\n {2}npm run (?:--silent )?cli -- (.*)/.exec(out) ?? []
    expect(await namedBy(example)).toBe(name)
  })
})

/** Every command that does something, as it is typed. */
function namesOf(command: Command): string[] {
  return command.commands.flatMap((one) =>
    one.commands.length > 0 ? namesOf(one).map((name) => `${one.name()} ${name}`) : one.name(),
  )
}

/** Parses an example, without what a shell does with the answer, and does nothing. @returns the command it names */
async function namedBy(example: string): Promise<string> {
  const program = await createProgram()
  let named = ''
  const disarm = (command: Command, name: string) => {
    command.action(() => {
      named = name
    })
    for (const one of command.commands) disarm(one, `${name} ${one.name()}`.trim())
  }
  disarm(program, '')
  const [line = ''] = example.split(/ [|>] /)
  const words = [...line.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word)
  await program.parseAsync(words, { from: 'user' })
  return named
}
