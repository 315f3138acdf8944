import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'

const ROOT = resolve(import.meta.dirname, '../..')
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')))

/** What `npm run test:faults` runs: files that one of its words stands in the path of. */
const words = scripts['test:faults']?.match(/\btest\/\S+/g) ?? []
const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  .map((name) => `test/${name}`)
  .filter((path) => path.endsWith('.test.ts') && words.some((word) => path.includes(word)))

/** Names of tests and groups: the string that a call begins with, also one that `each` was called for before. */
const NAME = /(?:\b(?:test|describe)(?:\.concurrent)?\(|\)\()\s*(?:'([^'\n]*)'|"([^"\n]*)")/g

const names = files.flatMap((path) =>
  [...readFileSync(join(ROOT, path), 'utf8').matchAll(NAME)].map(([, a, b]) => a ?? b ?? ''),
)

const REQUIREMENTS = Array.from({ length: 24 }, (_, i) => `AVL-${String(i + 1).padStart(2, '0')}`)

test('everything that is required of a service amid faults is in the name of a test of them', () => {
  for (const word of words)
    expect(
      files.filter((path) => path.includes(word)),
      word,
    ).not.toEqual([])
  const missing = REQUIREMENTS.filter((one) => !names.some((name) => name.includes(one)))
  expect(missing).toEqual([])
})
