import type { Context } from 'koa'
import { Refusal } from '../../errors.ts'
import { FORBIDDEN_KEYS } from '../../json-keys.ts'
import { readBytes } from '../bytes.ts'
import { isPlain } from '../plain.ts'

const MOST_BYTES = 64 * 1024

/**
 * The JSON a request brings; undefined where it brings nothing.
 * @throws Refusal when it is too long, in another format, or no JSON
 */
export async function readJson(ctx: Context): Promise<unknown> {
  const bytes = await bytesOf(ctx, MOST_BYTES)
  if (bytes.length === 0) return undefined
  if (!ctx.is('application/json')) {
    throw new Refusal('content_type', 415, 'Send JSON, with Content-Type: application/json.')
  }
  if (ctx.get('Content-Encoding')) {
    throw new Refusal('content_encoding', 415, 'Send the body as it is, without compression.')
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    let members = 0
    const parsed: unknown = JSON.parse(text, function (name, value) {
      if (FORBIDDEN_KEYS.has(name) || !isPlain(name) || !isPlain(value))
        throw new TypeError(`a member mustn't be called ${name}`)
      if (!Array.isArray(this)) members += 1
      return value
    })
    // The whole is parsed as the one member of an object of its own.
    if (namesIn(text) !== members - 1) throw new TypeError('a member stands there twice')
    return parsed
  } catch {
    throw new Refusal(
      'not_json',
      400,
      'The body is not JSON in UTF-8, or has a text with a NUL or half of a character, a member twice, or one called __proto__, constructor or prototype.',
    )
  }
}

/** How many names of members JSON has: texts before a colon. Of two alike, a parser would keep one unseen. */
function namesIn(json: string): number {
  const texts = json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)
  return [...texts].filter(([, colon]) => colon !== undefined).length
}

/** A body as it comes. @throws Refusal when it has more than so many bytes */
export async function bytesOf({ req }: Context, most: number): Promise<Buffer> {
  const bytes = await readBytes(req, most)
  if (bytes) return bytes
  throw new Refusal('body_too_long', 413, `A body has at most ${most} bytes.`)
}
