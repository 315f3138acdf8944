import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import type { Context } from 'koa'
import type { Language, MessageKey, Values } from '../languages/language.ts'
import { type Asset, type Brand, brandAssets } from './brand.ts'
import type { LanguageChoice } from './language.ts'
import type { PageData, PageName } from './page-data.ts'
import { createTemplates, VIEWS } from './templates.ts'

export type Pages = ReturnType<typeof createPages>

const ASSET_TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
}

interface Dependencies {
  brand: Brand
  /** whether pages link to the development outbox */
  simulatedPhone: boolean
  languages: LanguageChoice
}

/** The hosted pages and the files they need. Everything is read now, nothing later. */
export function createPages({ brand, simulatedPhone, languages }: Dependencies) {
  const { files, logo } = brandAssets(brand)
  for (const [name, file] of sharedAssets()) files.set(name, file)

  const assets = new Map<string, Asset>()
  const paths = new Map<string, string>()
  for (const [name, file] of files) {
    const path = hashedPath(name, file.body)
    paths.set(name, path)
    assets.set(path, file)
  }

  const asset = (name: string): string => {
    const path = paths.get(name)
    if (!path) throw new Error(`no asset ${name}`)
    return path
  }
  const render = createTemplates(languages, {
    asset,
    brand: { name: brand.name, logo: logo && asset(logo) },
    simulatedPhone,
  })

  return {
    /** By path, like `/assets/styles.0123456789ab.css`; the content behind a path never changes. */
    assets,

    /**
     * What stands here for a file of another version. During an upgrade a page comes from one instance and asks
     * for its files at the next; its own must not be kept under that name.
     */
    likeAsset: (path: string): Asset | undefined =>
      files.get(/^\/assets\/([\w-]+)\.[0-9a-f]{12}(\.\w+)$/.exec(path)?.slice(1).join('') ?? ''),

    /** In which language a request is answered. */
    languageOf: languages.of,

    /** A message in that language, as plain text. */
    say(ctx: Context, key: MessageKey, values?: Values): string {
      return languages.of(ctx).say(key, values)
    },

    /** A page by itself, for whoever has no request to answer. */
    render<Name extends PageName>(language: Language, name: Name, data: PageData[Name]): string {
      return render(language, name, data)
    },

    /** Answers with a page. */
    show<Name extends PageName>(
      ctx: Context,
      status: number,
      name: Name,
      data: PageData[Name],
    ): void {
      const language = languages.of(ctx)
      ctx.status = status
      ctx.type = 'html'
      ctx.set('Content-Language', language.tag)
      ctx.body = render(language, name, data)
    },
  }
}

function* sharedAssets(): Iterable<[string, Asset]> {
  const directory = join(VIEWS, 'assets')
  for (const name of readdirSync(directory)) {
    const type = ASSET_TYPES[extname(name)]
    if (type) yield [name, { body: readFileSync(join(directory, name)), type }]
  }
  // For browsers there is one file, beside the one that programs import.
  const chart = new URL('chart.umd.min.js', import.meta.resolve('chart.js'))
  yield ['chart.js', { body: readFileSync(chart), type: ASSET_TYPES['.js'] ?? '' }]
}

function hashedPath(name: string, body: Buffer): string {
  const extension = extname(name)
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 12)
  return `/assets/${basename(name, extension)}.${hash}${extension}`
}
