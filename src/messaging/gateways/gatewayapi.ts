import type { Gateway } from '../gateway.ts'
import { createMessagingApi } from './gatewayapi-messaging.ts'
import { createRestApi, type RestSettings } from './gatewayapi-rest.ts'

export interface GatewayApiSettings extends RestSettings {
  /** which of its two APIs: they share accounts, and little else */
  api: 'rest' | 'messaging'
}

/** gatewayapi.com, and gatewayapi.eu for accounts of the EU. */
export function createGatewayApi({ api, ...settings }: GatewayApiSettings): Gateway {
  if (api === 'rest') return createRestApi(settings)
  // The newer API takes nothing but a token, without which the configuration names it nowhere.
  return createMessagingApi({ ...settings, token: settings.token ?? '' })
}
