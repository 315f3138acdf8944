import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Log } from '../log.ts'
import type { Brand } from './brand.ts'

const LARGEST = 256 * 1024
const TIMEOUT_MS = 3000

const TYPES: Record<string, string> = {
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
}

/**
 * Reads the operator's logo once, at start, so that pages load it from our own origin (WEB-08). A logo that
 * can't be read stops nothing: the brand's name stands in its place.
 */
export async function loadLogo(url: string | undefined, log: Log): Promise<Brand['logo']> {
  if (url === undefined) return null
  try {
    const logo = url.startsWith('file:') ? await fromFile(new URL(url)) : await fromWeb(url)
    if (logo.body.length > LARGEST) throw new Error('larger than 256 kB')
    return logo
  } catch (error) {
    log.warn({ error }, 'BRAND_LOGO_URL could not be read; pages show the brand’s name instead')
    return null
  }
}

async function fromFile(url: URL): Promise<NonNullable<Brand['logo']>> {
  return { body: await readFile(url), type: known(TYPES[extname(url.pathname).toLowerCase()]) }
}

async function fromWeb(url: string): Promise<NonNullable<Brand['logo']>> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!response.ok || !response.body) throw new Error(`answered ${response.status}`)
  const type = known(response.headers.get('content-type')?.split(';')[0])
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body) {
    size += chunk.length
    if (size > LARGEST) break
    chunks.push(chunk)
  }
  if (size > LARGEST) throw new Error('larger than 256 kB')
  return { body: Buffer.concat(chunks), type }
}

function known(type: string | undefined): string {
  if (type && Object.values(TYPES).includes(type)) return type
  throw new Error('not an SVG, PNG, JPEG or WebP image')
}
