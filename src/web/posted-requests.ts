import type Router from '@koa/router'
import type { Context } from 'koa'
import { MOST_CHARACTERS } from '../oidc/request-size.ts'
import { readBytes } from './bytes.ts'
import { assertForm } from './forms.ts'
import { PageRefusal } from './refusals.ts'

/** Where the provider takes requests that an app may send as a form as well. */
const TAKEN = ['/auth', '/session/end']

/**
 * Requests to sign in and to sign out that an app sends as a form (OpenID Connect Core 3.1.2.1, RP-Initiated
 * Logout 2). Another site's form comes without our cookies, which are `SameSite=Lax`, so here it would seem that
 * nobody is signed in. It is sent on to the same request as an address, word for word: that comes with them, and
 * means no more than if the app had sent it so itself.
 */
export function addPostedRequests(router: Router): void {
  async function sendOn(ctx: Context): Promise<void> {
    assertForm(ctx)
    const body = await readBytes(ctx.req, MOST_CHARACTERS)
    const query = body && new URLSearchParams(body.toString()).toString()
    if (query === undefined || query.length > MOST_CHARACTERS)
      throw new PageRefusal('body', 413, 'refusal.bodyTooLong')
    ctx.status = 303
    ctx.redirect(query === '' ? ctx.path : `${ctx.path}?${query}`)
  }

  for (const path of TAKEN) router.post(path, sendOn)
}
