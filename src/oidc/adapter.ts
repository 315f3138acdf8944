import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import { isPassing } from '../db/faults.ts'
import type { Clients } from './clients.ts'
import { TTL } from './lives.ts'
import type { UnitsOfWork } from './unit-of-work.ts'

/**
 * The provider's storage. It reads and writes through the request's unit of work; clients come from their
 * own table and can't be written here.
 */
export function createAdapter(units: UnitsOfWork, clients: Clients): (model: string) => Adapter {
  async function findClient(id: string): Promise<AdapterPayload | undefined> {
    const unit = units.current()
    const row = unit.clients.get(id) ?? (await clients.findRow(id))
    if (!row) return undefined
    unit.clients.set(id, row)
    return clients.metadataOf(row)
  }

  return (model) => ({
    find: (id) =>
      guarded(() => (model === 'Client' ? findClient(id) : units.current().find(model, id))),
    findByUid: (uid) => guarded(() => units.current().findByUid(uid)),
    // Only the device flow has user codes, and it is off.
    findByUserCode: async () => undefined,
    upsert: async (id, payload, expiresIn) =>
      units.current().upsert(model, id, payload, kept(model, expiresIn)),
    destroy: async (id) => units.current().destroy(model, id),
    consume: async (id) => units.current().consume(model, id),
    revokeByGrantId: async (grantId) => units.current().revokeGrant(grantId),
  })
}

/**
 * How long a record stays. A pushed request can be begun with for as long as its payload says, and must be there to be
 * used up when the last sign-in that began with it ends: else two of them would get a code (RFC 9126 section 4).
 */
function kept(model: string, expiresIn: number | undefined): number | undefined {
  const longer = model === 'PushedAuthorizationRequest' && expiresIn !== undefined
  return longer ? expiresIn + TTL.Interaction : expiresIn
}

/**
 * Says "not now" in the provider's words, so that it answers 503, or sends the app
 * `temporarily_unavailable` (RFC 6749 section 4.1.2.1), where it would have said `server_error`.
 */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!isPassing(cause)) throw cause
    const error = new errors.CustomOIDCProviderError(
      'temporarily_unavailable',
      'try again in a moment',
      { cause },
    )
    throw Object.assign(error, { status: 503, statusCode: 503 })
  }
}
