import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const SOURCE = resolve(import.meta.dirname, '../../src')

/** Which rooms a room may import, beside itself and the base. */
const ALLOWED: Record<string, readonly string[]> = {
  base: [],
  languages: [],
  config: ['languages'],
  crypto: [],
  db: ['crypto'],
  audit: ['db'],
  accounts: ['crypto', 'db', 'audit'],
  messaging: ['languages', 'crypto', 'db', 'audit'],
  outbound: [],
  alerts: ['crypto', 'db', 'audit', 'messaging', 'outbound'],
  'second-factor': ['languages', 'crypto', 'db', 'audit', 'accounts', 'messaging'],
  oidc: ['config', 'crypto', 'db', 'audit', 'accounts'],
  admin: [
    'config',
    'languages',
    'crypto',
    'db',
    'audit',
    'accounts',
    'messaging',
    'alerts',
    'second-factor',
    'oidc',
    'statistics',
    'transfer',
  ],
  statistics: ['config', 'db', 'audit'],
  transfer: ['crypto', 'db', 'audit', 'accounts', 'messaging', 'second-factor', 'oidc'],
  web: [
    'admin',
    'languages',
    'config',
    'crypto',
    'db',
    'audit',
    'accounts',
    'messaging',
    'outbound',
    'alerts',
    'second-factor',
    'oidc',
    'statistics',
    'transfer',
  ],
  top: [
    'admin',
    'languages',
    'config',
    'crypto',
    'db',
    'audit',
    'accounts',
    'messaging',
    'outbound',
    'alerts',
    'second-factor',
    'oidc',
    'statistics',
    'transfer',
    'web',
    'top',
  ],
  cli: [
    'admin',
    'languages',
    'config',
    'crypto',
    'db',
    'audit',
    'accounts',
    'messaging',
    'outbound',
    'alerts',
    'second-factor',
    'oidc',
    'statistics',
    'transfer',
    'top',
  ],
}

const BASE_FILES = new Set([
  'address.ts',
  'errors.ts',
  'json-keys.ts',
  'log.ts',
  'metrics.ts',
  'minute.ts',
  'once.ts',
  'phone-number.ts',
  'service-metrics.ts',
  'tracing.ts',
  'version.ts',
])
const DOMAIN = new Set([
  'admin',
  'accounts',
  'audit',
  'messaging',
  'outbound',
  'alerts',
  'second-factor',
  'statistics',
  'transfer',
  'crypto',
  'db',
  'config',
  'base',
])

interface SourceFile {
  path: string
  room: string
  text: string
  imports: Array<{ path: string; typeOnly: boolean }>
  packages: string[]
}

const files = readdirSync(SOURCE, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => read(relative(SOURCE, join(entry.parentPath, entry.name))))

function read(path: string): SourceFile {
  const text = readFileSync(join(SOURCE, path), 'utf8')
  const imports: SourceFile['imports'] = []
  const packages: string[] = []
  for (const [, typeOnly, named, late] of text.matchAll(
    /^(?:import|export)\s+(type\s)?(?:[^'"]*?from\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm,
  )) {
    const from = named ?? late ?? ''
    // What is no code, such as a catalogue, belongs to no room.
    if (from.endsWith('.json')) continue
    if (from.startsWith('.')) {
      const target = relative(SOURCE, resolve(SOURCE, dirname(path), from))
      imports.push({ path: target, typeOnly: typeOnly !== undefined })
    } else packages.push(from)
  }
  return { path, room: roomOf(path), text, imports, packages }
}

function roomOf(path: string): string {
  const [first = '', second] = path.split('/')
  if (second !== undefined) return first
  return BASE_FILES.has(first) ? 'base' : 'top'
}

describe('rooms', () => {
  test('a file imports only what its room may', () => {
    const wrong = files.flatMap(({ path: importer, room: own, imports }) =>
      imports
        .filter(({ path }) => {
          const room = roomOf(path)
          return room !== own && room !== 'base' && !ALLOWED[own]?.includes(room)
        })
        .map(({ path }) => `${importer} → ${path}`),
    )
    // It loads everything, and runs nothing.
    expect(wrong).toEqual(['compile-ahead.ts → cli/main.ts', 'compile-ahead.ts → cli/program.ts'])
  })

  test('nothing but the server imports the app, and only its entry what runs', () => {
    const importers = (target: string) =>
      files
        .filter(({ imports }) => imports.some(({ path }) => path === target))
        .map(({ path }) => path)
    expect(importers('app.ts')).toEqual(['server.ts'])
    expect(importers('main.ts')).toEqual(['compile-ahead.ts'])
    expect(importers('run.ts')).toEqual(['main.ts'])
  })

  test('there are no circles', () => {
    const graph = new Map(files.map(({ path, imports }) => [path, imports.map((i) => i.path)]))
    const done = new Set<string>()
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) throw new Error(`circle: ${[...trail, path].join(' → ')}`)
      if (done.has(path)) return
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
      done.add(path)
    }
    for (const path of graph.keys()) visit(path, [])
  })
})

/** What is shown for others to copy is no code of ours. */
const SHOWN = 'web/admin/snippets/'

describe('habits', () => {
  test('all is TypeScript but what is loaded before there is anything to strip types', () => {
    const others = files.filter(({ path }) => !path.endsWith('.ts')).map(({ path }) => path)
    expect(others).toEqual(['compiled-code.js'])
  })

  const offenders = (pattern: RegExp, except: (file: SourceFile) => boolean = () => false) =>
    files.filter((file) => pattern.test(file.text) && !except(file)).map(({ path }) => path)

  test('the environment is read in one place', () => {
    const reads = offenders(/process\.env/, ({ path }) => path.startsWith(SHOWN))
    expect(reads).toEqual(['config/environment.ts'])
  })

  test('randomness comes from the system', () => {
    expect(offenders(/Math\.random/)).toEqual([])
  })

  test('SQL is never put together from strings', () => {
    expect(offenders(/sql\.raw/)).toEqual([])
  })

  test('what a Node may be built without is asked for where it is used', () => {
    expect(offenders(/^import [^()]*'node:inspector/m)).toEqual([])
    expect(offenders(/'node:inspector/)).toEqual(['start-memory.ts'])
  })

  test('certificates are always checked', () => {
    expect(offenders(/rejectUnauthorized|NODE_TLS_REJECT_UNAUTHORIZED/)).toEqual([])
  })

  test('domain rooms know nothing of HTTP or OpenID Connect', () => {
    const wrong = files.filter(
      ({ room, packages }) =>
        DOMAIN.has(room) &&
        packages.some((name) => /^(koa|@koa|oidc-provider|nunjucks)/.test(name)),
    )
    expect(wrong.map(({ path }) => path)).toEqual([])
  })

  test('only its owner writes a table', () => {
    const owners: Record<string, string> = {
      keyring: 'db',
      audit_event: 'audit',
      account: 'accounts',
      one_time_link: 'accounts',
      sign_in_attempt: 'accounts',
      second_factor: 'second-factor',
      phone: 'second-factor',
      authenticator: 'second-factor',
      backup_code: 'second-factor',
      bypass_code: 'second-factor',
      trusted_device: 'second-factor',
      challenge: 'second-factor',
      send_limit: 'second-factor',
      send_traffic: 'second-factor',
      send_day: 'second-factor',
      send_alert: 'second-factor',
      message: 'messaging',
      gateway_state: 'messaging',
      gateway_report: 'messaging',
      notice: 'messaging',
      alert: 'alerts',
      webhook: 'alerts',
      alert_delivery: 'alerts',
      console_session: 'admin',
      bootstrap_link: 'admin',
      idempotency_key: 'admin',
      delivery_stat: 'statistics',
      event_stat: 'statistics',
      roll_up: 'statistics',
      api: 'oidc',
      client: 'oidc',
      device_poll: 'oidc',
      user_code_try: 'oidc',
      registration_token: 'oidc',
      oidc_record: 'oidc',
      oidc_replay: 'oidc',
      signing_key: 'oidc',
      logout_delivery: 'oidc',
      import_job: 'transfer',
      import_failure: 'transfer',
      import_chunk: 'transfer',
    }
    const schema = files.find(({ path }) => path === 'db/schema.ts')?.text ?? ''
    const [, tables = ''] = /^export interface Database \{\n(.+?)^\}/ms.exec(schema) ?? []
    const names = [...tables.matchAll(/^ {2}(\w+): /gm)].map(([, name]) => name)
    expect(Object.keys(owners).sort()).toEqual(names.sort())
    const wrong = Object.entries(owners).flatMap(([table, owner]) => {
      const writes = new RegExp(
        `(insert into|update|delete from)\\s+${table}\\b|(insertInto|updateTable|deleteFrom)\\('${table}'`,
      )
      return offenders(writes, ({ room }) => room === owner).map(
        (path) => `${path} writes ${table}`,
      )
    })
    expect(wrong).toEqual([])
  })

  test('what a process remembers stands in no module: whoever needs it makes it (AVL-11)', () => {
    /** Where it matters to no request which instance, or which part of one, it is. */
    const harmless: Record<string, string> = {
      'config/documentation.ts: docs': 'filled while modules are loaded, and only read then',
      'languages/language.ts: ENGLISH': 'sentences',
      'messaging/http.ts: load': 'connections to gateways',
      'tracing.ts: tracer': 'a process has one, as it has one log',
      'transfer/text.ts: decoder': 'each text is read at once',
      'web/browser-name.ts: names': 'what it says can be worked out again',
    }
    const found = files
      .filter(({ path }) => !path.startsWith(SHOWN))
      .flatMap(({ path, text }) => changeable(text).map((name) => `${path}: ${name}`))
    expect(found.toSorted()).toEqual(Object.keys(harmless))
  })

  test('files are short', () => {
    const long = files.filter(({ text }) => text.split('\n').length > 256)
    expect(long.map(({ path }) => path)).toEqual([])
  })
})

/** Names at the top of a module whose values can be others later on, or hold what can. */
function changeable(text: string): string[] {
  const names = [...text.matchAll(/^(?:export )?(const|let|var) (\w+)(.*?=\s+([^\n]*))?/gm)]
  return names.flatMap(([, kind, name = '', , value = '']) =>
    kind !== 'const' || holdsMore(value) || isChanged(name, text) ? [name] : [],
  )
}

/** What is empty is there to be filled, and what is made here may remember. */
const holdsMore = (value: string) =>
  /^(new (Map|Set)(<.*>)?\(\)|\[\]|\{\}|(new (?!Map|Set|RegExp|Intl|URL|AsyncLocalStorage)|create|once)[\w.]*(<.*>)?\()/.test(
    value,
  )

const isChanged = (name: string, text: string) =>
  new RegExp(
    String.raw`\b${name}(\.(set|add|delete|clear|push|unshift|splice|pop|shift)\(|(\.\w+|\[[^\]\n]*\])(\+\+|--| (=|\+=|-=|\?\?=|\|\|=) ))`,
  ).test(text)
