import { Readable } from 'node:stream'
import type { Context } from 'koa'

/** What is too long to be held at once: sent as it is read. */
export interface Stream {
  /** content type */
  type: string
  /** as which a browser saves it */
  name: string
  parts: AsyncIterable<string>
}

/** As fast as it is taken; what goes wrong on the way ends the connection, so that no part is taken for the whole. */
export function send(ctx: Context, { type, name, parts }: Stream): void {
  ctx.body = Readable.from(parts)
  ctx.set('Content-Type', type)
  ctx.set('Content-Disposition', `attachment; filename="${name}"`)
  ctx.set('Cache-Control', 'no-store')
}
