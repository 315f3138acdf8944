import { z } from 'zod'
import type { Keys } from '../../admin/keys.ts'
import { type Route, route } from './route.ts'
import { reason, time } from './schemas.ts'

const tag = 'keys'

const signingKey = z
  .object({
    kid: z.string(),
    algorithm: z.string(),
    state: z
      .enum(['next', 'active', 'retiring'])
      .describe('published but not signing yet; signing; only verifying what it signed'),
    createdAt: time,
    activatesAt: time.describe('from when it signs'),
    rotatesAt: time
      .nullable()
      .describe(
        'When another is made by itself; null while one takes over, or where none ever is.',
      ),
    retiresAt: time
      .nullable()
      .describe('when it is withdrawn; null while no other key takes over from it'),
  })
  .meta({ id: 'SigningKey' })

const items = z.object({ items: z.array(signingKey) })

/** The keys that ID tokens are signed with, without their private parts. */
export function keyRoutes(keys: Keys): Route[] {
  return [
    route({
      id: 'listSigningKeys',
      tag,
      method: 'get',
      path: '/signing-keys',
      summary: 'List the signing keys',
      permission: 'keys.read',
      answer: items,
      handle: async (actor) => ({ body: { items: await keys.list(actor) } }),
    }),
    route({
      id: 'rotateSigningKeys',
      tag,
      method: 'post',
      path: '/signing-keys/rotation',
      summary: 'Make new signing keys',
      description:
        'They are published at once and sign once everybody can know them; the old ones go on verifying what they signed. With `now`, the new ones sign at once, and all others are withdrawn with what they signed: for a key in wrong hands.',
      permission: 'keys.write',
      body: z.strictObject({ reason, now: z.boolean().default(false) }),
      status: 201,
      answer: items,
      refusals: [409],
      handle: async (actor, { body }) => ({
        body: { items: await keys.rotate(actor, body) },
        location: '/signing-keys',
      }),
    }),
  ]
}
