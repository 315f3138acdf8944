import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { deriveKey } from '../../crypto/keys.ts'
import { Refusal } from '../../errors.ts'

export type Cursors = ReturnType<typeof createCursors>

const MAC_BYTES = 16

/**
 * Where the next page of a list begins, in a form that nobody else can make (ADM-14): signed, and good for the
 * very list it came with.
 */
export function createCursors(cookieKeys: readonly string[]) {
  const keys = cookieKeys.map((key) => deriveKey(Buffer.from(key), 'list-cursor'))

  const sign = (key: Buffer, list: string, place: string) =>
    createHmac('sha256', key).update(`${list}\0${place}`).digest().subarray(0, MAC_BYTES)

  return {
    /** @param list the list and how it was asked for, as `accounts?q=anna` */
    write(list: string, place: Readonly<Record<string, string>>): string {
      const text = JSON.stringify(place)
      const [key] = keys
      if (!key) throw new Error('there is no cookie key')
      return Buffer.concat([sign(key, list, text), Buffer.from(text)]).toString('base64url')
    },

    /** @throws Refusal unless it was written for this list */
    read<Shape extends z.ZodRawShape>(list: string, cursor: string, shape: Shape) {
      const bytes = Buffer.from(cursor, 'base64url')
      const [mac, place] = [bytes.subarray(0, MAC_BYTES), bytes.subarray(MAC_BYTES).toString()]
      const isOurs =
        mac.length === MAC_BYTES && keys.some((key) => timingSafeEqual(sign(key, list, place), mac))
      if (!isOurs) {
        throw new Refusal(
          'cursor',
          400,
          'The cursor is not one that this list gave. Leave it out to begin anew.',
        )
      }
      return z.object(shape).parse(JSON.parse(place))
    },
  }
}

/** Names a list by all that shapes it, so that a cursor isn't taken elsewhere. */
export function listName(
  name: string,
  { cursor: _, limit: __, ...query }: Record<string, unknown>,
) {
  const asked = Object.entries(query).filter(([, value]) => value !== undefined)
  return `${name}?${JSON.stringify(asked.toSorted(([a], [b]) => a.localeCompare(b)))}`
}
