import { describe, expect, test } from 'vitest'
import { createHashingQueue } from '../../src/accounts/hashing-queue.ts'
import { Unavailable } from '../../src/errors.ts'

/** Jobs that end when they are told to, and what happened so far. */
function jobs(size: number) {
  const queue = createHashingQueue(size)
  const happened: string[] = []
  const ends = new Map<string, (error?: Error) => void>()
  const settled = () => new Promise((resolve) => setImmediate(resolve))

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

  test('tells a job’s own fault, also where it is held', async () => {
    const { happened, begin, end } = jobs(1)
    await begin('a', 'b', 'c')
    await end('a', new Error('broken'))
    await end('b')
    expect(happened).toContain('a: broken')
    expect(happened).toContain('b goes on')
  })

  test('holds nobody for more than a fifth of a second, however long the next job takes', async () => {
    const { happened, begin, end } = jobs(1)
    await begin('a', 'b', 'c')
    await end('a')
    await expect.poll(() => happened).toContain('a goes on')
    expect(happened).not.toContain('c begins')
  })

  test('lets 32 that are done go on, though others still wait', async () => {
    const { happened, begin, end } = jobs(1)
    const names = Array.from({ length: 40 }, (_, index) => `job ${index}`)
    await begin(...names)
    for (const name of names.slice(0, 31)) await end(name)
    expect(happened.filter((one) => one.endsWith('goes on'))).toEqual([])
    await end('job 31')
    expect(happened.filter((one) => one.endsWith('goes on'))).toHaveLength(32)
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
