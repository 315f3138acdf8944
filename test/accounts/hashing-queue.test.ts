import { availableParallelism } from 'node:os'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createHashingQueue } from '../../src/accounts/hashing-queue.ts'
import { createPasswords } from '../../src/accounts/passwords.ts'
import { Unavailable } from '../../src/errors.ts'

// Who is held, is held until the clock of this test is moved.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

const settled = () => new Promise((resolve) => setImmediate(resolve))
async function pass(ms: number): Promise<void> {
  vi.advanceTimersByTime(ms)
  await settled()
}

/** Jobs that end when they are told to, and what happened so far. */
function jobs(size: number) {
  const queue = createHashingQueue(size)
  const happened: string[] = []
  const ends = new Map<string, (error?: Error) => void>()

  return {
    happened,
    async begin(...names: string[]): Promise<void> {
      for (const name of names) {
        const job = queue.run(() => {
          happened.push(`${name} begins`)
          return new Promise<void>((resolve, reject) =>
            ends.set(name, (error) => (error ? reject(error) : resolve())),
          )
        })
        job.then(
          () => happened.push(`${name} goes on`),
          (error) => happened.push(`${name}: ${error.message}`),
        )
      }
      await settled()
    },
    async end(name: string, error?: Error): Promise<void> {
      ends.get(name)?.(error)
      await settled()
    },
  }
}

describe('the hashing queue', () => {
  test('lets so many run at a time, and whoever meets nobody waits for nobody', async () => {
    const { happened, begin, end } = jobs(2)
    await begin('a', 'b')
    await end('a')
    expect(happened).toEqual(['a begins', 'b begins', 'a goes on'])
  })

  test('has those go on together that others wait for, with the one after which nobody waits', async () => {
    const { happened, begin, end } = jobs(1)
    await begin('a', 'b', 'c')
    await end('a')
    expect(happened).toEqual(['a begins', 'b begins'])
    await end('b')
    expect(happened.toSorted()).toEqual(
      ['a begins', 'b begins', 'c begins', 'a goes on', 'b goes on'].toSorted(),
    )
    await end('c')
    expect(happened.at(-1)).toBe('c goes on')
  })

  test('tells a job’s own fault, when it would have told of anything else', async () => {
    const { happened, begin, end } = jobs(1)
    await begin('a', 'b', 'c')
    await end('a', new Error('broken'))
    expect(happened).toEqual(['a begins', 'b begins'])
    await end('b')
    expect(happened).toContain('a: broken')
    expect(happened).toContain('b goes on')
  })

  test('holds nobody for more than a fifth of a second, however long the next job takes', async () => {
    const { happened, begin, end } = jobs(1)
    await begin('a', 'b', 'c')
    await end('a')
    await pass(199)
    expect(happened).not.toContain('a goes on')
    await pass(1)
    expect(happened).toContain('a goes on')
    expect(happened).not.toContain('c begins')
  })

  test('counts that from the first that is held, however many follow', async () => {
    const { happened, begin, end } = jobs(1)
    await begin('a', 'b', 'c', 'd')
    await end('a')
    await pass(150)
    await end('b')
    await pass(50)
    expect(happened.slice(-2)).toEqual(['a goes on', 'b goes on'])
  })

  test('counts anew once those have gone on', async () => {
    const { happened, begin, end } = jobs(1)
    await begin('a', 'b', 'c')
    await end('a')
    await pass(150)
    await end('b')
    await begin('d', 'e')
    await end('c')
    expect(happened).toContain('a goes on')
    await pass(199)
    expect(happened).not.toContain('c goes on')
    await pass(1)
    expect(happened).toContain('c goes on')
  })

  test('lets 16 that are done go on, though others still wait', async () => {
    const { happened, begin, end } = jobs(1)
    const names = Array.from({ length: 40 }, (_, index) => `job ${index}`)
    await begin(...names)
    for (const name of names.slice(0, 15)) await end(name)
    expect(happened.filter((one) => one.endsWith('goes on'))).toEqual([])
    await end('job 15')
    expect(happened.filter((one) => one.endsWith('goes on'))).toHaveLength(16)
  })

  test('refuses whoever comes while 256 wait, and nobody once fewer do', async () => {
    const queue = createHashingQueue(1)
    let end = () => {}
    const first = queue.run(() => new Promise<void>((resolve) => (end = resolve)))
    const others = Array.from({ length: 256 }, () => queue.run(async () => {}))
    await expect(queue.run(async () => {})).rejects.toThrow(Unavailable)
    end()
    await Promise.all([first, ...others])
    await queue.run(async () => {})
  })
})

test('under load, right passwords, wrong ones and those of nobody go on together (ENU-02)', async () => {
  const passwords = createPasswords({ memoryCost: 1024, timeCost: 1, parallelism: 1 })
  const right = await passwords.hash('right')
  const together = 12
  let turn = 0
  const wentOn: Array<{ kind: string; turn: number }> = []
  const checks = Array.from({ length: availableParallelism() + together }, async (_, index) => {
    const kind = ['right', 'wrong', 'nobody'][index % 3] ?? ''
    const stored = kind === 'nobody' ? null : right
    expect(await passwords.verify(stored, kind)).toBe(kind === 'right')
    wentOn.push({ kind, turn })
  })
  const all = Promise.all(checks).then(() => true)
  while (!(await Promise.race([all, settled()]))) turn++
  const first = wentOn.slice(0, together)
  expect(new Set(first.map((one) => one.turn)).size).toBe(1)
  expect(new Set(first.map((one) => one.kind)).size).toBe(3)
})
