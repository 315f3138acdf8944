import type { Authentication } from '../../src/oidc/acr.ts'
import { createSealedRecords, recordKey } from '../../src/oidc/sealed-records.ts'
import type { Answer, Flow } from './flow.ts'
import type { House } from './house.ts'

/** The interaction a flow stands in, as it is stored. */
export async function storedInteraction(house: House, flow: Flow) {
  const sealed = createSealedRecords(house.rooms.vault)
  const key = recordKey('Interaction', flow.path.split('/').at(-1) ?? '')
  const row = await house.db
    .selectFrom('oidc_record')
    .select('payload')
    .where('key', '=', key)
    .executeTakeFirstOrThrow()
  const payload = sealed.open(key, row.payload, null)
  const { prompt, returnTo } = payload
  if (!prompt || !returnTo) throw new Error('no interaction')
  return { key, sealed, payload, prompt, returnTo }
}

/**
 * Ends an interaction with what the pages would have found out, whatever they look like.
 * @returns what the provider answers to that
 */
export async function conclude(
  house: House,
  flow: Flow,
  { accountId, ts, ...how }: Authentication & { accountId: string; ts: number },
): Promise<Answer> {
  const { key, sealed, payload, returnTo } = await storedInteraction(house, flow)
  const result = { login: { accountId, ts, ...how } }
  const pending = { key, model: 'Interaction', expiresIn: undefined, givenIn: undefined }
  const columns = sealed.columnsOf({ ...pending, payload: { ...payload, result } })
  await house.db
    .updateTable('oidc_record')
    .set({ payload: columns.payload })
    .where('key', '=', key)
    .execute()
  return flow.request(returnTo)
}

/** The same, and all the way back to the app. */
export async function settle(
  house: House,
  flow: Flow,
  login: Parameters<typeof conclude>[2],
): Promise<URLSearchParams> {
  return flow.resume(await conclude(house, flow, login))
}

export function now(): number {
  return Math.floor(Date.now() / 1000)
}
