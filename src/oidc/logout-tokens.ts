import { randomUUID } from 'node:crypto'
import type Provider from 'oidc-provider'
import type { LogoutLetter } from './logout-sender.ts'
import type { Logout } from './logouts.ts'
import type { UnitsOfWork } from './unit-of-work.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/**
 * Makes logout tokens (OpenID Connect Back-Channel Logout 1.0 section 2.4): by the keys, the algorithm and the `sub`
 * that the app's ID tokens have, good for two minutes, never with a nonce. The `sid` is in it for apps that asked for
 * one, as it is in their ID tokens; to others, all of the person's sessions there are meant.
 */
export function createLogoutTokens(provider: Provider, units: UnitsOfWork) {
  return async ({ clientId, accountId, sid }: Logout): Promise<LogoutLetter | undefined> => {
    let letter: LogoutLetter | undefined
    await units.run(async () => {
      const client = await provider.Client.find(clientId)
      const uri = client?.backchannelLogoutUri
      if (!client || !uri) return
      const { sub } = await new provider.Claims({ sub: accountId }, { client })
        .scope('openid')
        .result()
      const token = new provider.IdToken({}, { client })
      token.set('sub', sub)
      token.set('jti', randomUUID())
      token.set('events', { [EVENT]: {} })
      if (client.backchannelLogoutSessionRequired && sid !== null) token.set('sid', sid)
      letter = { uri, token: await token.issue({ use: 'logout' }) }
    })
    return letter
  }
}
