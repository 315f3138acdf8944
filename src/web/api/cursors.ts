import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { deriveKey } from '../../crypto/keys.ts'
import { Refusal } from '../../errors.ts'

export type Cursors = ReturnType<typeof createCursors>

const MAC_BYTES = 16

/** Where a page of each list ends: what the next one is asked for after. */
export const ACCOUNT_PLACE = { value: z.string(), id: z.string() }
export const AUDIT_PLACE = { at: z.string(), id: z.string() }
export const CLIENT_PLACE = { id: z.string() }
export const MESSAGE_PLACE = { createdAt: z.string(), id: z.string() }

/** How a list was asked for: which page, and all else that shapes it. */
interface PageQuery extends Record<string, unknown> {
  cursor?: string | undefined
  limit: number
}

/**
 * Where the next page of a list begins, in a form that nobody else can make (ADM-14): signed, and good for the
 * very list it came with.
 */
export function createCursors(cookieKeys: readonly string[]) {
  const keys = cookieKeys.map((key) => deriveKey(Buffer.from(key), 'list-cursor'))

  const sign = (key: Buffer, list: string, place: string) =>
    createHmac('sha256', key).update(`${list}\0${place}`).digest().subarray(0, MAC_BYTES)

  function write(list: string, place: unknown): string {
    const text = JSON.stringify(place)
    const [key] = keys
    if (!key) throw new Error('there is no cookie key')
    return Buffer.concat([sign(key, list, text), Buffer.from(text)]).toString('base64url')
  }

  /** @throws Refusal unless it was written for this list */
  function read(list: string, cursor: string): unknown {
    const bytes = Buffer.from(cursor, 'base64url')
    const [mac, place] = [bytes.subarray(0, MAC_BYTES), bytes.subarray(MAC_BYTES).toString()]
    const isOurs =
      mac.length === MAC_BYTES && keys.some((key) => timingSafeEqual(sign(key, list, place), mac))
    if (isOurs) return JSON.parse(place)
    throw new Refusal(
      'cursor',
      400,
      'The cursor is not one that this list gave. Leave it out to begin anew.',
    )
  }

  return {
    /**
     * One page of a list, as a request asks for it.
     * @param name the list's
     * @param query how it was asked for: a cursor goes on with the very same question only
     * @param shape of the place where a page ends
     * @throws Refusal when the cursor wasn't written for this
     */
    page<Shape extends z.ZodRawShape>(
      name: string,
      { cursor, limit, ...query }: PageQuery,
      shape: Shape,
    ) {
      type Place = z.output<z.ZodObject<Shape>>
      const list = listName(name, query)
      return {
        /** where the page before ended; undefined for the first */
        after: cursor === undefined ? undefined : z.object(shape).parse(read(list, cursor)),
        /** one more than is shown: it tells whether anything follows */
        limit: limit + 1,
        /** @returns what was found without that one, and the cursor of the next page or null */
        cut<Row>(found: readonly Row[], placeOf: (last: Row) => Place) {
          const items = found.slice(0, limit)
          const last = items.at(-1)
          const next = last && found.length > limit ? write(list, placeOf(last)) : null
          return { items, next }
        },
      }
    },
  }
}

/** Names a list by all that shapes it, so that a cursor isn't taken elsewhere. */
function listName(name: string, query: Record<string, unknown>) {
  const asked = Object.entries(query).filter(([, value]) => value !== undefined)
  return `${name}?${JSON.stringify(asked.toSorted(([a], [b]) => a.localeCompare(b)))}`
}
