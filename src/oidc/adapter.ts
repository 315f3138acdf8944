import Provider, { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import { isPassing } from '../db/faults.ts'
import type { Clients } from './clients.ts'
import { TTL } from './lives.ts'
import type { Registrations } from './registration.ts'
import { assertFits } from './request-size.ts'
import type { UnitOfWork, UnitsOfWork } from './unit-of-work.ts'

/** What devices asked for: found by them, and by their people. */
export interface DeviceRequests {
  find(deviceCode: string): Promise<AdapterPayload | undefined>
  /** @param code as it was typed, in capitals and without what stands between */
  findByUserCode(code: string): Promise<AdapterPayload | undefined>
}

/**
 * The provider's storage. It reads and writes through the request's unit of work; clients come from their
 * own table, and are written there at once.
 */
export function createAdapter(
  units: UnitsOfWork,
  clients: Clients,
  devices: DeviceRequests,
  registrations: Registrations,
): (model: string) => Adapter {
  async function findClient(id: string): Promise<AdapterPayload | undefined> {
    const unit = units.current()
    await findPresented(unit)
    const row = unit.clients.get(id) ?? (await clients.findRow(id))
    if (!row) return undefined
    unit.clients.set(id, row)
    return clients.metadataOf(row)
  }

  /** A token request names its client and then shows what it was given: looked for first, that brings the client along. */
  async function findPresented(unit: UnitOfWork): Promise<void> {
    const { route, params } = Provider.ctx?.oidc ?? {}
    if (route !== 'token') return
    const { code, refresh_token: refreshToken } = params ?? {}
    if (typeof code === 'string') await unit.find('AuthorizationCode', code)
    else if (typeof refreshToken === 'string') await unit.find('RefreshToken', refreshToken)
  }

  async function find(model: string, id: string): Promise<AdapterPayload | undefined> {
    if (model === 'Client') return findClient(id)
    if (model === 'InitialAccessToken') return registrations.findToken(id)
    return model === 'DeviceCode' ? devices.find(id) : units.current().find(model, id)
  }

  return (model) => ({
    find: (id) => guarded(() => find(model, id)),
    findByUid: (uid) => guarded(() => units.current().findByUid(uid)),
    findByUserCode: (code) => guarded(() => devices.findByUserCode(code)),
    async upsert(id, payload, expiresIn) {
      if (model === 'Client') return guarded(() => registrations.store(payload))
      assertFits(model)
      units.current().upsert(model, id, payload, kept(model, expiresIn))
    },
    destroy: async (id) =>
      model === 'Client'
        ? guarded(() => registrations.remove(id))
        : units.current().destroy(model, id),
    consume: async (id) => units.current().consume(model, id),
    revokeByGrantId: async (grantId) => units.current().revokeGrant(grantId),
  })
}

/**
 * How long a record stays. A pushed request can be begun with for as long as its payload says, and must be there to be
 * used up when the last sign-in that began with it ends: else two of them would get a code (RFC 9126 section 4).
 */
function kept(model: string, expiresIn: number | undefined): number | undefined {
  if (expiresIn === undefined) return undefined
  if (model === 'PushedAuthorizationRequest') return expiresIn + TTL.Interaction
  // A device that still asks is told that its code has ended, and not that there was none (RFC 8628 section 3.5).
  return model === 'DeviceCode' ? expiresIn + TTL.DeviceCode : expiresIn
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
