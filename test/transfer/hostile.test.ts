import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exportLines } from '../../src/transfer/export-lines.ts'
import { type ImportFormat, readerOf } from '../../src/transfer/formats.ts'
import type { Source } from '../../src/transfer/source.ts'
import { type RawRow, splitRows } from '../../src/transfer/split.ts'
import type { Item } from '../../src/transfer/text.ts'
import { createTestRooms, type TestRooms } from '../support/rooms.ts'

const MEGABYTE = 1024 * 1024

/** `head`, and then the same filling over and over: as large as a test likes, without being kept anywhere. */
function endless(head: string, filling: string, size: number, tail = '') {
  const chunk = Buffer.from(filling.repeat(Math.ceil(MEGABYTE / filling.length)))
  const before = process.memoryUsage().rss
  let peak = before
  async function* all() {
    yield Buffer.from(head)
    for (let sent = head.length; sent < size; sent += chunk.length) {
      peak = Math.max(peak, process.memoryUsage().rss)
      yield chunk
    }
    yield Buffer.from(tail)
  }
  return {
    size,
    async *read(from: number) {
      let left = from
      for await (const bytes of all()) {
        if (left < bytes.length) yield bytes.subarray(left)
        left = Math.max(0, left - bytes.length)
      }
    },
    /** by how much memory has grown at most */
    grownBy: () => peak - before,
  }
}

async function readAll(format: ImportFormat, source: Source): Promise<Item[]> {
  const items: Item[] = []
  for await (const item of readerOf(format)(source, { bytes: 0, lines: 0 })) items.push(item)
  return items
}

function of(content: string | Buffer): Source {
  const bytes = Buffer.from(content)
  return {
    size: bytes.length,
    async *read(from) {
      yield bytes.subarray(from)
    },
  }
}

describe('1 GB (input 101)', () => {
  const GIGABYTE = 1024 * MEGABYTE

  test.each([
    ['csv', 'username\nfirst\n', 'x', '\nlast\n'],
    ['csv', 'username\nfirst\n"', 'x', '\nlast\n'],
    ['jsonl', '{"username":"first"}\n', '{"a":', '\n{"username":"last"}\n'],
  ] as const)('without a line end is one wrong row: %s %j', async (format, head, filling, tail) => {
    const source = endless(head, filling, GIGABYTE, tail)
    const items = await readAll(format, source)
    expect(source.grownBy()).toBeLessThan(100 * MEGABYTE)
    expect(items.map(({ fault }) => fault)).toEqual([
      undefined,
      'The row is longer than 64 KiB.',
      undefined,
    ])
  })

  test.each([
    ['a text that doesn’t end', '{"users":[{"username":"', 'x', 'a value of more than 4 MiB'],
    ['brackets that don’t end', '{"users":[', '[', 'nested more than 200 deep'],
    ['bytes that are no text', '{"users":[{"username":"', '\u0000', 'not JSON'],
  ])('of JSON is given up soon: %s', async (_what, head, filling, why) => {
    const source = endless(head, filling, GIGABYTE)
    await expect(readAll('keycloak', source)).rejects.toThrow(why)
    expect(source.grownBy()).toBeLessThan(100 * MEGABYTE)
  })

  test('or much of it: of a realm’s other settings is passed over, and so is one endless user', async () => {
    const clients = endless(
      '{"clients":[',
      '{"id":"x"},',
      8 * MEGABYTE,
      '{}],"users":[{"username":"a"}]}',
    )
    expect(await readAll('keycloak', clients)).toMatchObject([{ input: { username: 'a' } }])
    const user = endless('{"users":[{"a":[', '"x",', 8 * MEGABYTE, '1]},{"username":"b"}]}')
    expect(await readAll('keycloak', user)).toMatchObject([
      { line: 1, fault: 'The account is longer than 256 KiB.' },
      { line: 2, input: { username: 'b' } },
    ])
  })
})

describe('one wrong row costs no other', () => {
  test('where it isn’t UTF-8, has a NUL, or its quotes don’t close', async () => {
    const rows = [
      Buffer.from('username,name'),
      Buffer.from('a,\xff\xfe', 'latin1'),
      Buffer.from('b,\0'),
      Buffer.from('c,"C"D'),
      Buffer.from('d,D'),
    ]
    const items = await readAll(
      'csv',
      of(Buffer.concat(rows.map((row) => Buffer.concat([row, Buffer.from('\n')])))),
    )
    expect(items.map(({ line, fault }) => [line, fault])).toEqual([
      [2, 'The row is not UTF-8.'],
      [3, 'The row has a NUL in it.'],
      [4, 'The quotes of the row are not those of CSV.'],
      [5, undefined],
    ])
  })

  test.each(['__proto__', 'constructor', 'prototype'])(
    'where it has a key %s (input 105)',
    async (key) => {
      const row = `{"username":"x","${key}":{"disabled":true}}`
      const escaped = row.replace(
        key,
        `\\u${key.charCodeAt(0).toString(16).padStart(4, '0')}${key.slice(1)}`,
      )
      const lines = await readAll('jsonl', of(`${row}\n${escaped}\n{"username":"y"}\n`))
      expect(lines.map(({ fault }) => fault?.includes('a key'))).toEqual([true, true, undefined])
      const deep = `{"username":"z","attributes":{"a":[{"${key}":1}]}}`
      const users = await readAll(
        'keycloak',
        of(`{"users":[${row},${escaped},${deep},{"username":"y"}]}`),
      )
      expect(users.map(({ fault }) => fault?.includes('a key'))).toEqual([
        true,
        true,
        true,
        undefined,
      ])
      expect(Object.hasOwn(Object.prototype, 'disabled')).toBe(false)
    },
  )

  test.each([
    ['cut', '{"users":[{"username":"a"},{"userna', 'ends in the middle'],
    ['followed by something else', '{"users":[{"username":"a"}]} oops', 'not JSON'],
    ['without users', '{"realm":"a","groups":[{"users":[{"username":"x"}]}]}', 'no list of users'],
    ['of another kind', '[1,2]', 'no list of users'],
  ])('and a document that is %s is told of behind what could be read', async (_what, text, why) => {
    const items: Item[] = []
    const reading = async () => {
      for await (const item of readerOf('keycloak')(of(text), { bytes: 0, lines: 0 }))
        items.push(item)
    }
    await expect(reading()).rejects.toThrow(why)
    expect(items).toHaveLength(text.includes('"a"},') || text.includes('"a"}]') ? 1 : 0)
  })
})

test('rows are the same wherever the chunks are cut, and from every row on', async () => {
  const text = fc.array(fc.constantFrom('a', '"', '\n', '\r\n', ',', 'é'), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(
      text,
      fc.array(fc.nat(8), { minLength: 1, maxLength: 12 }),
      async (parts, cuts) => {
        const bytes = Buffer.from(parts.join(''))
        const rows = async (start: { byte: number; line: number }, sizes: readonly number[]) => {
          async function* chunks() {
            for (let at = start.byte, n = 0; at < bytes.length; n++) {
              const size = (sizes[n % sizes.length] ?? 0) + 1
              yield bytes.subarray(at, at + size)
              at += size
            }
          }
          const found: RawRow[] = []
          for await (const row of splitRows(chunks(), { quotes: true, from: start }))
            found.push(row)
          return found
        }
        const whole = await rows({ byte: 0, line: 1 }, [100])
        expect(await rows({ byte: 0, line: 1 }, cuts)).toEqual(whole)
        for (const [index, { end, nextLine }] of whole.entries())
          expect(await rows({ byte: end, line: nextLine }, cuts)).toEqual(whole.slice(index + 1))
      },
    ),
    { numRuns: 100 },
  )
})

describe('round trips (ADM-13)', () => {
  let rooms: TestRooms
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-trip-'))
  beforeAll(async () => {
    rooms = await createTestRooms()
  })
  afterAll(async () => {
    await rooms.database.destroy()
    rmSync(directory, { recursive: true, force: true })
  })
  const wanted = { dryRun: false, update: false, resume: false } as const

  test.each(['csv', 'jsonl'] as const)('what is exported is imported: %s', async (format) => {
    const first = await createTestRooms()
    try {
      const path = join(directory, format)
      const names = [
        '=HYPERLINK("http://evil","x")',
        "'=1+1",
        "'quoted'",
        '+45',
        '-1',
        '@SUM(A1)',
        '＝1',
        'a"b,c;d',
        "''",
        'plain',
      ]
      const given = names.map((name, row) =>
        JSON.stringify({
          username: `=user-${row}@`,
          name,
          email: row === 0 ? 'first@example.com' : null,
          email_verified: row === 0 ? true : null,
          disabled: row === 1,
          phones: Array.from({ length: row % 3 }, (_, n) => ({
            number: `+4670123460${row * 2 + n > 9 ? 9 - n : row * 2 + n}`.slice(0, 12),
            verified: n === 0,
          })),
          password_hash:
            row === 2
              ? '$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$q0hTJ3pWQ0hCq2YFh3vS0y8Jtq0JqfHc6r2WvE1w1qg'
              : null,
        }),
      )
      writeFileSync(path, given.join('\n'))
      const { created } = await first.imports.importFile(path, { ...wanted, format: 'jsonl' })
      expect(created).toBe(names.length)
      const read = async (from: TestRooms) => {
        const accounts = []
        const exported = await from.exportAccounts({ withPasswordHashes: true })
        for await (const { id: _, ...account } of exported)
          if (account.username.startsWith('=user-')) accounts.push(account)
        return accounts.toSorted((a, b) => a.username.localeCompare(b.username))
      }
      const lines: string[] = []
      for await (const line of exportLines(
        await first.exportAccounts({ withPasswordHashes: true }),
        format,
        true,
      ))
        lines.push(line)
      if (format === 'csv')
        for (const line of lines)
          expect(line.split(',').filter((cell) => /^"?[=+\-@＝]/.test(cell))).toEqual([])
      writeFileSync(path, lines.join(''))
      await rooms.database.destroy()
      rooms = await createTestRooms()
      const job = await rooms.imports.importFile(path, { ...wanted, format })
      expect(job).toMatchObject({ created: names.length, failed: 0 })
      const there = await read(rooms)
      expect(there).toEqual(await read(first))
      expect(there.map(({ name }) => name).toSorted()).toEqual(names.toSorted())
    } finally {
      await first.database.destroy()
    }
  })
})
