import { ACCOUNT_CLIENT_ID } from '../../oidc/built-in.ts'
import type { OwnApp } from '../relying-party.ts'

export const ACCOUNT_URL = '/account'

/** These pages as an app of our own provider. */
export const ACCOUNT_APP: OwnApp = {
  clientId: ACCOUNT_CLIENT_ID,
  home: ACCOUNT_URL,
  name: 'account',
}
