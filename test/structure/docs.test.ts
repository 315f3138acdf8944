import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  API_DOCUMENT,
  apiDocument,
  CONFIGURATION_PAGE,
  configurationPage,
} from '../../docs/generate.ts'
import { GATEWAY_NAMES } from '../../src/config/gateway-rules.ts'
import { documentation, variables } from '../../src/config/variables.ts'

const ROOT = resolve(import.meta.dirname, '../..')

const pages = ['README.md', 'SECURITY.md', 'CHANGELOG.md', ...docs()].map((path) => ({
  path,
  text: readFileSync(join(ROOT, path), 'utf8'),
}))

function docs(): string[] {
  return readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`)
}

describe('the configuration page', () => {
  test('is what npm run docs makes of the variables', () => {
    expect(readFileSync(CONFIGURATION_PAGE, 'utf8')).toBe(configurationPage())
  })

  test('has every variable', () => {
    expect([...documentation.keys()].sort()).toEqual(Object.keys(variables.shape).sort())
  })
})

test('the document of the API is what npm run docs makes of its operations', () => {
  expect(readFileSync(API_DOCUMENT, 'utf8')).toBe(apiDocument())
})

describe('the pages', () => {
  test('have one for each gateway, with the setting that chooses it', () => {
    for (const name of GATEWAY_NAMES) {
      // A service that checks codes itself stands on the page of who sells it.
      const page = `docs/gateways/${name.replace(/-verify$/, '')}.md`
      expect(pages.find(({ path }) => path === page)?.text, page).toMatch(
        new RegExp(`_GATEWAYS=(\\S+,)?${name}$`, 'm'),
      )
    }
  })

  test('link to files and headings that are there', () => {
    const broken = pages.flatMap(({ path, text }) =>
      linksOf(text)
        .filter((link) => !isThere(path, link))
        .map((link) => `${path}: ${link}`),
    )
    expect(broken).toEqual([])
  })

  test('name no variable that is not read', () => {
    const unknown = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)]
        .map(([, name = '']) => name)
        .filter((name) => !documentation.has(name))
        .map((name) => `${path}: ${name}`),
    )
    expect(unknown).toEqual([])
  })

  test('name no npm script that is not there', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const unknown = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/npm run (?:--silent )?([a-z]+)/g)]
        .map(([, name = '']) => name)
        .filter((name) => !Object.hasOwn(scripts, name))
        .map((name) => `${path}: ${name}`),
    )
    expect(unknown).toEqual([])
  })
})

test('npm run test:faults runs what the page of faults names', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const filters = String(scripts['test:faults']).match(/(?<= )test\/\S+/g) ?? []
  const named = pages
    .filter(({ path }) => path === 'docs/faults.md')
    .flatMap(({ text }) => text.match(/test\/\S+\.test\.ts/g) ?? [])
  expect(named.length).toBeGreaterThan(15)
  expect(named.filter((path) => !filters.some((filter) => path.includes(filter)))).toEqual([])
})

test('.env.example sets only variables that are read', () => {
  const names = readFileSync(join(ROOT, '.env.example'), 'utf8').matchAll(/^([A-Z_]+)=/gm)
  expect(
    [...names].map(([, name]) => name).filter((name) => !documentation.has(name ?? '')),
  ).toEqual([])
})

/** Links and pictures within the repository. */
function linksOf(text: string): string[] {
  const targets = [
    ...text.matchAll(/\]\(([^)\s]+)\)/g),
    ...text.matchAll(/(?:src|srcset|href)="([^"]+)"/g),
  ]
  return targets.map(([, target = '']) => target).filter((target) => !/^[a-z]+:/.test(target))
}

function isThere(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#')
  const path = file === '' ? join(ROOT, from) : resolve(ROOT, dirname(from), file)
  if (relative(ROOT, path).startsWith('..') || !existsSync(path)) return false
  return anchor === undefined || headingsOf(readFileSync(path, 'utf8')).includes(anchor)
}

/** Anchors as the usual renderers make them from headings. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
