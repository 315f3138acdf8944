import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { SCOPES } from './claims.ts'
import { SIGNING_ALGORITHMS } from './key-making.ts'
import { HOUR, MINUTE } from './lives.ts'

/** A scope that an API offers: fewer characters than RFC 6749 section 3.3 lets, so that none means anything to a shell or a page. */
export const apiScope = z
  .string()
  .regex(/^[A-Za-z0-9][\w.:/-]{0,63}$/, 'a scope has 1 to 64 letters, digits and . _ : / -')

/** An API as an admin registers it. */
export const newApi = z.strictObject({
  id: z
    .string()
    .regex(/^[\w.~-]{1,64}$/, 'an id has 1 to 64 letters, digits and . _ ~ -')
    .describe('What it is called here.'),
  resource: z
    .string()
    .max(500)
    .describe(
      'What apps ask for it by, in `resource`, and what stands in `aud`: an absolute URI, compared character by character.',
    ),
  name: z.string().trim().min(1).max(64).describe('What people read where consent is asked.'),
  scopes: z
    .array(apiScope)
    .min(1)
    .max(50)
    .describe('What may be asked for there; no other API has the same.'),
  lifetimeSeconds: z
    .int()
    .min(MINUTE)
    .max(HOUR)
    .default(10 * MINUTE)
    .describe('How long its access tokens are good; they can’t be revoked.'),
  algorithm: z
    .enum(SIGNING_ALGORITHMS)
    .default('RS256')
    .describe('What its access tokens are signed with.'),
})
export type NewApi = z.input<typeof newApi>

/**
 * @param issuer of our own: a token for it would be taken for one of ours
 * @throws Refusal naming what is wrong
 */
export function assertSensibleApi(api: z.output<typeof newApi>, issuer: string): void {
  const refuse = (sentence: string) => new Refusal('api', 400, sentence)
  const uri = `The resource ${JSON.stringify(api.resource)}`
  if (/[\s\p{C}\\]/u.test(api.resource) || !URL.canParse(api.resource))
    throw refuse(`${uri} is not an absolute URI.`)
  if (api.resource.includes('#')) throw refuse(`${uri} must have no fragment (RFC 8707 section 2).`)
  if (api.resource === issuer || api.resource.startsWith(`${issuer}/`))
    throw refuse(`${uri} is this service’s own.`)
  const own: readonly string[] = SCOPES
  const taken = api.scopes.find((scope) => own.includes(scope) || scope.startsWith('admin:'))
  if (taken) throw refuse(`The scope ${taken} has a meaning of its own here.`)
  if (new Set(api.scopes).size < api.scopes.length) throw refuse('A scope stands there twice.')
}
