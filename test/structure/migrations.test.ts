import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const FOLDER = join(ROOT, 'migrations')

/** Statements of a migration, without their comments. */
function statementsOf(name: string): string[] {
  const text = readFileSync(join(FOLDER, name), 'utf8')
  const bodies = [...text.matchAll(/sql(?:<[^>]*>)?`([\s\S]*?)`/g)].map(([, body = '']) => body)
  return bodies
    .join(';')
    .replace(/\$\$[\s\S]*?\$\$/g, '$$')
    .split(';')
    .map((statement) => statement.replace(/\s+/g, ' ').trim().toLowerCase())
    .filter((statement) => statement !== '')
}

/** What the version before can't live with, or what waits for as long as a table is long. */
const UNSAFE: Array<[what: string, pattern: RegExp]> = [
  ['takes away', /\bdrop (table|column|type|function|view|index)\b/],
  ['gives another name', /\brename\b/],
  ['gives another type', /\balter column \w+ (set data )?type\b/],
  ['asks for a value', /\balter column \w+ set not null\b/],
  ['forbids what was allowed', /\badd (constraint \w+ )?(unique|check|exclude|primary key)\b/],
  [
    'adds a column that must be filled',
    /\badd column (?:if not exists )?\w+ (?:(?!,? ?add column\b)[^,])*\bnot null\b(?!(?:(?!, ?add column\b).)*\b(default|generated)\b)/,
  ],
  ['empties', /^(truncate|delete)\b/],
  ['can’t be done in a transaction', /\bconcurrently\b|^(vacuum|create database)\b/],
]

/** Of versions that were never run side by side with the one before. */
const EXCUSED: Record<string, RegExp> = {
  // Put back in the same statement, and allowing more than before.
  '0003-factors.ts': /^alter table challenge alter column phone_id drop not null/,
}

const migrations = readdirSync(FOLDER).filter((name) => name.endsWith('.ts'))

describe('migrations let the version before go on beside them (AVL-18)', () => {
  test.each(migrations)('%s only adds', (name) => {
    const statements = statementsOf(name)
    expect(statements.length).toBeGreaterThan(0)
    const found = statements
      .filter((statement) => !EXCUSED[name]?.test(statement))
      .flatMap((statement) =>
        UNSAFE.filter(([, pattern]) => pattern.test(statement)).map(
          ([what]) => `${what}: ${statement}`,
        ),
      )
    expect(found).toEqual([])
  })

  test('and are told apart by their numbers, which follow one another', () => {
    const numbers = migrations.map((name) => Number(name.slice(0, 4)))
    expect(numbers).toEqual(numbers.map((_, index) => index + 1))
  })

  test.each([
    'alter table a drop column b',
    'alter table a add column b text not null',
    'alter table a add column c text, add column b integer not null, add column d text default 1',
    'alter table a alter column b type bigint',
    'alter table a rename column b to c',
    'alter table a add constraint b unique (c)',
    'create index concurrently b on a (c)',
  ])('%s would be found', (statement) => {
    expect(UNSAFE.some(([, pattern]) => pattern.test(statement))).toBe(true)
  })

  test.each([
    'alter table a add column b text, add column c integer not null default 1',
    'alter table a add column b timestamptz not null default now(), add column d bytea',
    'create table a (b text not null unique)',
    'alter table a alter column b drop not null',
  ])('%s would not', (statement) => {
    expect(UNSAFE.filter(([, pattern]) => pattern.test(statement))).toEqual([])
  })
})

describe('behind a pooler that lends a session for one transaction', () => {
  const SESSION =
    /\bpg_(try_)?advisory_(un)?lock(_shared)?\b|^\s*(listen|unlisten|prepare|execute|declare|discard)\s+\w|\bset\s+session\b|\bset_config\([^)]*,\s*false\s*\)|\bcreate\s+(temp|temporary)\b|\bwith\s+hold\b/im

  test('no statement leaves anything behind in its session', () => {
    const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.endsWith('.ts'),
    )
    const found = files.flatMap((name) => {
      const text = readFileSync(join(ROOT, 'src', name), 'utf8')
      const statements = [...text.matchAll(/sql(?:<[^>`]*>)?`([\s\S]*?)`/g)]
      return statements
        .filter(([, body = '']) => SESSION.test(body))
        .map(([all]) => `${name}: ${all}`)
    })
    expect(found).toEqual([])
    for (const statement of [
      'select pg_advisory_lock(1)',
      'listen changes',
      "select set_config('a', 'b', false)",
    ])
      expect(SESSION.test(statement)).toBe(true)
  })
})
