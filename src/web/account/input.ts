import type { Context } from 'koa'
import { z } from 'zod'
import { field, parseForm } from '../forms.ts'

/**
 * The fields of a form, and no others: one that isn't ours is a try at more than the page offers (ADM-07).
 * @throws Refusal when a field is missing, repeated, nested or unknown
 */
export function readStrict<Shape extends z.ZodRawShape>(ctx: Context, shape: Shape) {
  return parseForm(ctx, z.strictObject({ form_token: field, ...shape }))
}

/** The id in a path; empty for what none of ours looks like. */
export const idOf = (ctx: Context): string => idIn(ctx.params?.id)

/** The same of any part of a path. */
export function idIn(part: unknown): string {
  const id = String(part)
  return /^[\w.~-]{1,64}$/.test(id) ? id : ''
}
