import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createMetrics } from '../../src/metrics.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** Names and types, as Prometheus reads them. */
const types = new Map(
  [...(await createMetrics().render()).matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(
    ([, name = '', type = '']) => [name, type] as const,
  ),
)
const ours = [...types].filter(([name]) => name.startsWith('sallyport_'))

const panel = z.object({
  id: z.int(),
  type: z.string(),
  title: z.string().min(1),
  description: z.string().min(1).optional(),
  datasource: z.object({ uid: z.string().regex(/^\$\{datasource\}$/) }).optional(),
  gridPos: z.object({ h: z.int(), w: z.int(), x: z.int(), y: z.int() }),
  targets: z.array(z.object({ expr: z.string(), refId: z.string() })).optional(),
})
const dashboard = z.object({
  title: z.literal('Sallyport'),
  schemaVersion: z.int().min(39),
  templating: z.object({ list: z.array(z.object({ name: z.string(), query: z.unknown() })) }),
  panels: z.array(panel),
})

test('metrics are named for what they are, in base units', () => {
  expect(ours.length).toBeGreaterThan(15)
  for (const [name, type] of ours) {
    expect(name.endsWith('_total'), name).toBe(type === 'counter')
    if (type === 'histogram') expect(name).toMatch(/_seconds$/)
    expect(name).not.toMatch(/_(ms|milliseconds|minutes|kb)\b/)
  }
})

test('the page of metrics has every one there is, and no other', () => {
  const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `(sallyport_\w+)` \| (\w+) \|/gm)]
  expect(Object.fromEntries(rows.map(([, name, type]) => [name, type]))).toEqual(
    Object.fromEntries(ours),
  )
  // Rules of alarms and examples, too, ask for what is there.
  expect(unknownIn(page.match(/\b(sallyport|nodejs|process)_\w*[a-z]\b/g) ?? [])).toEqual([])
})

test('the dashboard asks only for metrics that are there, and shows each of ours', () => {
  const text = readFileSync(join(ROOT, 'deploy/grafana/sallyport.json'), 'utf8')
  const { panels, templating } = dashboard.parse(JSON.parse(text))
  const asked = panels
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .concat(JSON.stringify(templating))
    .flatMap((expr) => expr.match(/\b(sallyport|nodejs|process)_\w+/g) ?? [])
  expect(unknownIn(asked)).toEqual([])
  const shown = new Set(asked.map(baseOf))
  expect(ours.map(([name]) => name).filter((name) => !shown.has(name))).toEqual([])
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  for (const { type, title, targets = [], gridPos } of panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
    if (type !== 'row') expect(targets.length, title).toBeGreaterThan(0)
    // Counters only ever grow; what is of interest is how fast.
    for (const { expr } of targets)
      for (const [, name = ''] of expr.matchAll(/(\w+_(?:total|bucket))\b/g))
        expect(expr, title).toMatch(new RegExp(`(rate|increase)\\(${name}`))
  }
})

function baseOf(name: string): string {
  return types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')
}

function unknownIn(names: readonly string[]): string[] {
  return names.filter((name) => !types.has(baseOf(name)))
}
