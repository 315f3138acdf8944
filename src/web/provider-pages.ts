import type { ProviderPages } from '../oidc/provider.ts'
import { titleOf } from './failure.ts'
import type { Pages } from './pages.ts'

/** Sentences for what goes wrong before the provider knows which app to send the person back to. */
const SENTENCES: Record<string, string> = {
  invalid_client: 'The app that sent you here is not known to this service.',
  invalid_redirect_uri:
    'The app that sent you here asked to get you back at an address that isn’t registered for it.',
  invalid_request: 'The app that sent you here asked in a way this service can’t answer.',
  temporarily_unavailable:
    'Something this service needs is out of reach just now. Please try again in a moment.',
  server_error:
    'Something went wrong on our side. Please try again; if it stays, tell the people who run this service the number below.',
}

const EXPIRED = 'This sign-in has expired or was finished. Go back to your app and sign in again.'

/** The pages node-oidc-provider shows by itself. */
export function createProviderPages(pages: Pages, host: string): ProviderPages {
  return {
    error(ctx, { error, error_description: description }, thrown) {
      if (error === 'temporarily_unavailable') ctx.set('Retry-After', '2')
      const expired = thrown.name === 'SessionNotFound'
      const title = titleOf(ctx.status, expired ? 'no_interaction' : error)
      const requestId = ctx.status >= 500 ? String(ctx.state.requestId) : null
      const message = expired ? EXPIRED : (SENTENCES[error] ?? SENTENCES.invalid_request ?? '')
      // For whoever connects the app; the provider's descriptions name parameters, never their values.
      const hint = ctx.status < 500 ? `${error}${description ? `: ${description}` : ''}` : null
      ctx.type = 'html'
      ctx.body = pages.render('error', { title, message, hint, requestId })
    },

    logout(ctx, formHtml) {
      const { client } = ctx.oidc
      ctx.type = 'html'
      ctx.body = pages.render('logout', {
        app: client ? (client.clientName ?? client.clientId) : null,
        formHtml,
        host,
      })
    },

    loggedOut(ctx) {
      const { client } = ctx.oidc
      ctx.type = 'html'
      ctx.body = pages.render('logged-out', {
        app: client ? (client.clientName ?? client.clientId) : null,
      })
    },
  }
}
