import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { HOUR } from './lives.ts'
import { remember } from './remember.ts'
import type { Place } from './sealed-records.ts'
import type { UnitsOfWork } from './unit-of-work.ts'

/** Where a request comes from, for the person to know it again. */
export type PlaceOf = (ctx: KoaContextWithOIDC) => Place

/** What a device hears until its person has decided: nothing went wrong. */
const WAITING = new Set(['authorization_pending', 'slow_down'])

/** Has what happens at the provider recorded by the statement that stores it (LOG-01). */
export function recordEvents(provider: Provider, units: UnitsOfWork, placeOf: PlaceOf): void {
  /** when, in ms of this process, a client's refusal of a kind is recorded again */
  const refusedUntil = new Map<string, number>()

  provider.on('interaction.ended', (ctx) => {
    const { entities, result, client } = ctx.oidc
    const interaction = entities.Interaction
    // After a consent page the provider hears of the same login once more.
    if (!result?.login || interaction?.prompt.name !== 'login') return
    const { accountId, acr, amr } = result.login
    const unit = units.current()
    unit.noteSignIn(placeOf(ctx))
    unit.tell({
      type: interaction.session?.uid ? 'session.renewed' : 'session.started',
      accountId,
      clientId: client?.clientId ?? null,
      detail: { acr: acr ?? null, amr: amr?.join(' ') ?? null },
    })
  })

  provider.on('authorization.success', ({ oidc: { entities, session, client } }) => {
    const accountId = session?.accountId
    if (!entities.DeviceCode || !accountId) return
    const clientId = client?.clientId ?? null
    units.current().tell({ type: 'device.approved', accountId, clientId })
  })

  provider.on('end_session.success', ({ oidc: { session, params, client } }) => {
    if (!session?.accountId || !params?.logout) return
    const clientId = client?.clientId ?? null
    units.current().tell({ type: 'session.ended', accountId: session.accountId, clientId })
  })

  // The provider's own telling is put aside, for here it is only to be written down (see logout-sender).
  Object.assign(provider.Client.prototype, { backchannelLogout: async () => {} })
  provider.on('backchannel.success', (ctx, { clientId }, accountId, sid) => {
    units.current().tellOfLogout({ clientId, accountId, sid: sid ?? null })
    ctx.state.appsToTell = true
  })

  provider.on('grant.success', ({ oidc: { client, account, params } }) => {
    units.current().tell({
      type: 'token.issued',
      accountId: account?.accountId ?? null,
      clientId: client?.clientId ?? null,
      detail: { grant: String(params?.grant_type) },
    })
  })

  provider.on('grant.revoked', ({ oidc }) => {
    if (oidc.route === 'token') units.current().tellOfReuse()
  })

  provider.on('grant.error', ({ oidc }, { error, status }) => {
    // For public clients anybody may ask. A client that is in order could fill the trail, too, which is kept for long:
    // so each instance records a kind of refusal once an hour. The log has them all.
    const client = oidc?.client
    if (!client || client.clientAuthMethod === 'none' || status >= 500 || WAITING.has(error)) return
    const kind = `${client.clientId}\0${error}`
    const now = performance.now()
    if (now < (refusedUntil.get(kind) ?? 0)) return
    remember(refusedUntil, kind, now + HOUR * 1000)
    const accountId = oidc.account?.accountId ?? null
    const event = { type: 'token.refused', accountId, clientId: client.clientId } as const
    units.current().tell({ ...event, detail: { error } }, () => refusedUntil.delete(kind))
  })
}
