import { CommanderError } from 'commander'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { createPlace } from './command-line.ts'

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
    await createProgram().parseAsync(args, { from: 'user' })
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
      const [none, wrong, half, help] = await Promise.all([
        place.cli([]),
        place.cli(['client', 'show', '--json']),
        place.cli(['account', 'create', '--username', 'u', '--ask-password'], 'a good password'),
        place.cli(['--help']),
      ])
      expect(none).toMatchObject({ code: 2, out: '' })
      expect(wrong).toMatchObject({ code: 2, out: '' })
      expect(half).toMatchObject({ code: 2, out: '' })
      expect(half.err).toMatch(/--ask-password needs a terminal/)
      expect(help).toMatchObject({ code: 0, err: '' })
    } finally {
      place.remove()
    }
  })

  test.each([
    'account create',
    'account list',
    'account show',
    'account invite',
    'account disable',
    'account enable',
    'account unlock',
    'account delete',
    'phone add',
    'phone list',
    'phone remove',
    'bypass-code issue',
    'client create',
    'client list',
    'client show',
    'client delete',
    'migrate',
    'doctor',
  ])('%s --help has an example', async (command) => {
    expect(await exitCodeOf([...command.split(' '), '--help'])).toBe(0)
    expect(err).toBe('')
    expect(out).toContain(`Example:\n  npm run cli -- ${command}`)
    expect(out).toContain('--json')
  })
})
