import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/ports.ts'
import { createPlace, type Place } from './command-line.ts'

let place: Place
let port: number
const running: ChildProcess[] = []

beforeAll(async () => {
  place = createPlace()
  port = await freePort()
})

afterAll(async () => {
  await Promise.all(running.map((child) => end(child, 'SIGKILL')))
  place.remove()
})

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

async function startServer(): Promise<ChildProcess> {
  const child = place.start('main.ts', [], { PORT: String(port) })
  running.push(child)
  child.stdout.resume()
  child.stderr.resume()
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`)
    const answer = await fetch(`http://localhost:${port}/readyz`).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.status === 200) return child
    await pause(100)
  }
  throw new Error('the server is not ready')
}

describe.concurrent('the embedded database', { timeout: 90_000 }, () => {
  test('is shared with a running server, and keeps what was written when that is killed', async () => {
    const server = await startServer()
    const made = await place.json(
      ['account', 'create', '--username', 'anna', '--password-stdin', '--phone', '+4520123456'],
      'correct horse battery\n',
    )
    await place.json(['client', 'create', '--id', 'shop', '--redirect-uri', 'https://a.example/'])
    const healthy = await place.cli(['doctor', '--json'], '', { PORT: String(port) })
    expect(healthy.code).toBe(0)
    const { checks }: { checks: Array<{ name: string; status: string }> } = JSON.parse(healthy.out)
    expect(checks.filter(({ status }) => status !== 'ok')).toEqual([])

    await end(server, 'SIGKILL')
    await startServer()
    expect(await place.json(['account', 'show', 'anna'])).toMatchObject(made)
    expect(await place.json(['client', 'show', 'shop'])).toMatchObject({ client_id: 'shop' })
  })
})

describe.concurrent('without any configuration', { timeout: 90_000 }, () => {
  test('takes four commands at once, with no server there', async () => {
    const alone = createPlace()
    const made = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) =>
        alone.cli(
          ['account', 'create', '--username', name, '--password-stdin'],
          'correct horse battery',
        ),
      ),
    )
    expect(made.map(({ code, err }) => ({ code, refused: err.includes('out of reach') }))).toEqual(
      Array.from({ length: 4 }, () => ({ code: 0, refused: false })),
    )
    expect(await alone.json(['account', 'list'])).toHaveLength(4)
    alone.remove()
  })

  test('generated keys are announced on standard error, once', async () => {
    const alone = createPlace()
    try {
      const keys = { ENCRYPTION_KEYS: '', COOKIE_KEYS: '' }
      const check = await alone.cli(['doctor', '--json'], '', keys)
      expect(check).toMatchObject({ code: 0, err: '' })
      expect(check.out).toContain('is not there yet')
      const first = await alone.cli(['account', 'list', '--json'], '', keys)
      expect(first).toMatchObject({ code: 0, out: '[]\n' })
      expect(first.err).toContain('Made development keys')
      const second = await alone.cli(['account', 'list', '--json'], '', keys)
      expect(second).toEqual({ code: 0, out: '[]\n', err: '' })
    } finally {
      alone.remove()
    }
  })

  test('a bad variable is named, without a stack', async () => {
    const bad = await place.cli(['account', 'list'], '', { PORT: 'x' })
    expect(bad).toMatchObject({ code: 1, out: '' })
    expect(bad.err).toMatch(/^The configuration has faults:\n {2}PORT /)
    expect(bad.err).not.toContain('    at ')
  })
})
