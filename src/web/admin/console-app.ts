import { CONSOLE_CLIENT_ID } from '../../oidc/built-in.ts'
import type { OwnApp } from '../relying-party.ts'

export const CONSOLE_URL = '/admin'

/** The console as an app of our own provider, with a required second factor (ADM-01). */
export const CONSOLE_APP: OwnApp = {
  clientId: CONSOLE_CLIENT_ID,
  home: CONSOLE_URL,
  name: 'console',
}
