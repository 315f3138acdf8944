import type { Context, Middleware } from 'koa'
import { HttpMethodEnum, koaBody } from 'koa-body'
import { z } from 'zod'
import { PageRefusal } from './refusals.ts'

const LIMIT = 16 * 1024

const read = koaBody({
  urlencoded: true,
  json: false,
  text: false,
  multipart: false,
  formLimit: LIMIT,
  parsedMethods: [HttpMethodEnum.POST],
  onError(error) {
    const status = 'status' in error && error.status === 413 ? 413 : 400
    const key = status === 413 ? 'refusal.bodyTooLong' : 'refusal.bodyUnreadable'
    throw new PageRefusal('body', status, key)
  },
})

/** @throws Refusal of a body that is no plain form */
export function assertForm(ctx: Context): void {
  if (!ctx.is('application/x-www-form-urlencoded'))
    throw new PageRefusal('content_type', 415, 'refusal.onlyForms')
  if (ctx.get('Content-Encoding'))
    throw new PageRefusal('content_encoding', 415, 'refusal.compressed')
}

/** Reads the body of a form; anything but a plain form of moderate size is refused before it is parsed. */
export const readForm: Middleware = async (ctx, next) => {
  if (ctx.method !== 'POST') return next()
  assertForm(ctx)
  return read(ctx, next)
}

/** A form field as browsers send it: one string. Repeated and nested fields are arrays and objects, and refused. */
export const field = z.string().max(LIMIT)

/**
 * The fields of a form. Fields it doesn't know are ignored, and reach nothing.
 * @throws Refusal when a field is missing, repeated or nested
 */
export function parseForm<T extends z.ZodType>(ctx: Context, schema: T): z.output<T> {
  const parsed = schema.safeParse(ctx.request.body ?? {})
  if (parsed.success) return parsed.data
  throw new PageRefusal('form', 400, 'refusal.formIncomplete')
}
