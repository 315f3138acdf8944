import { expect, test } from 'vitest'
import { once } from '../src/once.ts'

test('what is made once is made again where making it failed', async () => {
  let tries = 0
  const made = once(async () => {
    if (++tries === 1) throw new Error('not there just now')
    return {}
  })
  await expect(made()).rejects.toThrow('not there just now')
  expect(await made()).toBe(await made())
  expect(tries).toBe(2)
})
