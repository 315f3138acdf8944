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

describe('what the log says', () => {
  /** Texts that a call is given by a variable or puts together, by the file. */
  const PUT_TOGETHER: Record<string, readonly string[]> = {
    // Of keys that were made for development, and where they are kept: not in production.
    'run.ts': [],
    'messaging/mailer.ts': ['mail refused', 'mail failed'],
    'oidc/logout-sender.ts': literals('oidc/logout-sender.ts', /\bwhat = (.+)$/gm),
    'oidc/refusal-log.ts': literals('oidc/refusal-log.ts', /\bnote\(('.+')\)/g),
  }
  const calls = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => messagesIn(sourceOf(path)).map((message) => ({ path, message })))
  const whole = calls.flatMap(({ message }) => textsIn(message))
  const others = calls.filter(({ message }) => textsIn(message).length === 0)

  test('stands in the docs, with what it means', () => {
    const texts = [...whole, ...Object.values(PUT_TOGETHER).flat()]
    expect(texts.length).toBeGreaterThan(70)
    const docs = pages.filter(({ path }) => path.startsWith('docs/')).map(({ text }) => text)
    const told = (text: string) => docs.some((page) => page.includes(`\`${text}\``))
    expect([...new Set(texts)].filter((text) => !told(text))).toEqual([])
  })

  test('is what the page of logs has', () => {
    const page = pages.find(({ path }) => path === 'docs/operate.md')?.text ?? ''
    const [, section = ''] = page.split('\n## Logs\n')
    const [table = ''] = section.split('\n## ')
    const cells = [...table.matchAll(/^\| (`.+?) \| /gm)].map(([, cell = '']) => cell)
    const listed = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text))
    expect(listed.length).toBeGreaterThan(50)
    const texts = new Set([...whole, ...Object.values(PUT_TOGETHER).flat(), 'msg'])
    expect(listed.filter((text) => !texts.has(text ?? ''))).toEqual([])
    expect(listed.filter((text, index) => listed.indexOf(text) !== index)).toEqual([])
  })

  test('is all found by this test', () => {
    expect([...new Set(others.map(({ path }) => path))].sort()).toEqual(
      Object.keys(PUT_TOGETHER).sort(),
    )
    for (const [path, texts] of Object.entries(PUT_TOGETHER))
      expect(texts.length > 0, path).toBe(path !== 'run.ts')
  })
})

test('the security policy supports the version there is', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const page = pages.find(({ path }) => path === 'SECURITY.md')?.text ?? ''
  const [, section = ''] = page.split('\n## Supported versions\n')
  const rows = [...section.matchAll(/^\| (\S+\.x) +\| yes +\|$/gm)].map(([, row]) => row)
  expect(rows).toEqual([version.replace(/\.\d+$/, '.x')])
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

function sourceOf(path: string): string {
  return readFileSync(join(ROOT, 'src', path), 'utf8')
}

/** The texts in what a pattern finds in a file. */
function literals(path: string, pattern: RegExp): string[] {
  return [...sourceOf(path).matchAll(pattern)].flatMap(([, found = '']) => textsIn(found))
}

function textsIn(code: string): string[] {
  return [...code.matchAll(/'([^']+)'/g)].map(([, text = '']) => text)
}

/** The last argument of each call of the log. */
function messagesIn(source: string): string[] {
  const calls = source.matchAll(/\blog(?:\.(?:trace|debug|info|warn|error|fatal)|\[[^\]]+\])\(/g)
  return [...calls].map((call) => argumentsFrom(source, call.index + call[0].length).at(-1) ?? '')
}

/** The arguments of the call whose parenthesis was opened just before. */
function argumentsFrom(source: string, start: number): string[] {
  const all = ['']
  let depth = 0
  for (const [piece] of source.slice(start).matchAll(/'[^']*'|`[^`]*`|./gs)) {
    if (')]}'.includes(piece) && depth-- === 0) break
    if ('([{'.includes(piece)) depth++
    if (piece === ',' && depth === 0) all.push('')
    else all.push(`${all.pop()}${piece}`)
  }
  return all.map((one) => one.trim()).filter((one) => one !== '')
}

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
