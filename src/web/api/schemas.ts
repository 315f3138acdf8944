import { z } from 'zod'
import { ROLES } from '../../accounts/account.ts'

/** Parts that several operations have. */

/** The time as the database has it, in UTC. */
export const time = z
  .date()
  .transform((date) => date.toISOString())
  .pipe(z.iso.datetime())
  .meta({ example: '2026-01-31T12:00:03.120Z' })

/** Ids are random texts of these letters; anything else is nobody's. */
export const id = z.string().regex(/^[\w.~-]{1,64}$/)

export const accountId = z.strictObject({
  id: id.describe('the account’s id: the `sub` that apps see'),
})

/** Why, in the admin's own words; it stands in the audit trail, so it should name nobody. */
export const reason = z
  .string()
  .trim()
  .min(3)
  .max(200)
  .describe(
    'why, for the audit trail; it is kept after the account is erased, so it should name nobody',
  )

export const role = z.enum(ROLES)

export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().min(1).max(2000).optional().describe('`next` of the page before'),
}

/** A page of a list. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    next: z.string().nullable().describe('the cursor of the next page; null on the last'),
  })
}

export const truth = z.enum(['true', 'false']).transform((word) => word === 'true')

export const account = z
  .object({
    id: z.string(),
    username: z.string(),
    name: z.string().nullable(),
    email: z.string().nullable(),
    emailVerified: z.boolean(),
    role: role.nullable(),
    disabled: z.boolean(),
    hasPassword: z.boolean().describe('false for someone who is yet to choose one'),
    language: z.string().nullable().describe('of the pages at the last sign-in'),
    version: z.int(),
    createdAt: time,
  })
  .meta({ id: 'Account' })

export const phone = z
  .object({
    id: z.string(),
    number: z.string().describe('E.164; masked for those who may not see numbers'),
    country: z.string().nullable(),
    label: z.string().nullable(),
    verified: z.boolean(),
    primary: z.boolean(),
    heldUntil: time
      .nullable()
      .describe('until when it can’t be the only proof for a sensitive change'),
  })
  .meta({ id: 'Phone' })
