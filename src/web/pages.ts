import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import nunjucks from 'nunjucks'
import { type Asset, type Brand, brandAssets } from './brand.ts'

export type Pages = ReturnType<typeof createPages>

/** Which page takes what. `app` is the client's display name: untrusted, and null where none is known. */
export interface PageData {
  login: Form & {
    app: string | null
    actionUrl: string
    cancelUrl: string
    username: string
    error: string | null
  }
  code: Form & {
    app: string | null
    actionUrl: string
    resendUrl: string
    restartUrl: string
    cancelUrl: string
    /** masked, like `••• ••• 21` */
    phone: string
    length: number
    minutesLeft: number
    triesLeft: number
    error: string | null
    delivery: 'sending' | 'accepted' | 'failed' | 'unconfirmed'
    resendInSeconds: number
    sendsLeft: number
    host: string
  }
  /** A sign-in step that can't go on. */
  ended: Form & {
    app: string | null
    restartUrl: string | null
    /** what the button to restartUrl says */
    restartText: string
    cancelUrl: string | null
    title: string
    message: string
    retryInMinutes: number | null
  }
  consent: Form & {
    app: string | null
    accountName: string
    actionUrl: string
    cancelUrl: string
    items: ReadonlyArray<{ title: string; detail: string }>
    appHost: string
  }
  /** `formHtml` is the provider's own form, the only value that is not escaped. */
  logout: { app: string | null; formHtml: string; host: string }
  'logged-out': { app: string | null }
  error: { title: string; message: string; requestId: string | null; hint: string | null }
  home: { issuer: string }
  outbox: {
    /** newest first */
    messages: ReadonlyArray<{ to: string; text: string; channel: string; sentAt: string }>
    development: boolean
  }
}

export type PageName = keyof PageData

interface Form {
  formToken: string
}

const VIEWS = join(import.meta.dirname, '../../views')

const ASSET_TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
}

/**
 * The hosted pages and the files they need. Everything is read and compiled now, nothing later.
 * @param simulatedPhone whether pages link to the development outbox
 */
export function createPages({ brand, simulatedPhone }: { brand: Brand; simulatedPhone: boolean }) {
  const { files, logo } = brandAssets(brand)
  for (const [name, file] of sharedAssets()) files.set(name, file)

  const assets = new Map<string, Asset>()
  const paths = new Map<string, string>()
  for (const [name, file] of files) {
    const path = hashedPath(name, file.body)
    paths.set(name, path)
    assets.set(path, file)
  }

  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(VIEWS), {
    autoescape: true,
    throwOnUndefined: true,
    trimBlocks: true,
    lstripBlocks: true,
  })
  const asset = (name: string): string => {
    const path = paths.get(name)
    if (!path) throw new Error(`no asset ${name}`)
    return path
  }
  environment.addGlobal('asset', asset)
  environment.addGlobal('brand', { name: brand.name, logo: logo && asset(logo) })
  environment.addGlobal('simulatedPhone', simulatedPhone)
  environment.addFilter('count', count)
  environment.addFilter('lastDigits', (number: string) => /\d+$/.exec(number)?.[0] ?? '')
  environment.addFilter('timeOfDay', timeOfDay)
  environment.addFilter('aroundCodes', aroundCodes)
  for (const file of readdirSync(VIEWS)) {
    if (file.endsWith('.njk')) environment.getTemplate(file, true)
  }

  return {
    /** By path, like `/assets/styles.0123456789ab.css`; the content behind a path never changes. */
    assets,

    render<Name extends PageName>(name: Name, data: PageData[Name]): string {
      return environment.render(`${name}.njk`, data)
    },
  }
}

function* sharedAssets(): Iterable<[string, Asset]> {
  const directory = join(VIEWS, 'assets')
  for (const name of readdirSync(directory)) {
    const type = ASSET_TYPES[extname(name)]
    if (type) yield [name, { body: readFileSync(join(directory, name)), type }]
  }
}

function hashedPath(name: string, body: Buffer): string {
  const extension = extname(name)
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 12)
  return `/assets/${basename(name, extension)}.${hash}${extension}`
}

/** `1 try`, `5 tries` */
function count(amount: number, one: string, many: string): string {
  return `${amount} ${amount === 1 ? one : many}`
}

/** `14:03:22 UTC` of an ISO time; anything else as it came. */
function timeOfDay(time: string): string {
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time) ? `${time.slice(11, 19)} UTC` : time
}

/** Splits a message so that every second part is a code, for a template to mark and a click to select. */
function aroundCodes(text: string): string[] {
  return text.split(/(?<![\d+])(\d{6,8})(?!\d)/)
}
