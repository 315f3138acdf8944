import type { MessageKey } from '../languages/language.ts'
import type { ProviderPages } from '../oidc/provider.ts'
import { createDevicePages } from './device-pages.ts'
import { titleOf } from './failure.ts'
import type { Pages } from './pages.ts'

/** Sentences for what goes wrong before the provider knows which app to send the person back to. */
const SENTENCES: Record<string, MessageKey> = {
  invalid_client: 'error.unknownApp',
  invalid_redirect_uri: 'error.unknownAddress',
  temporarily_unavailable: 'refusal.unavailable',
  server_error: 'refusal.broken',
}

/** The pages node-oidc-provider shows by itself. */
export function createProviderPages(pages: Pages, host: string): ProviderPages {
  return {
    device: createDevicePages(pages),

    error(ctx, { error, error_description: description }, thrown) {
      if (error === 'temporarily_unavailable') ctx.set('Retry-After', '2')
      const { say } = pages.languageOf(ctx)
      const expired = thrown.name === 'SessionNotFound'
      pages.show(ctx, ctx.status, 'error', {
        title: say(titleOf(ctx.status, expired ? 'no_interaction' : error)),
        message: say(expired ? 'refusal.over' : (SENTENCES[error] ?? 'error.unanswerable')),
        messageTag: null,
        // For whoever connects the app; the provider's descriptions name parameters, never their values.
        hint: ctx.status < 500 ? `${error}${description ? `: ${description}` : ''}` : null,
        requestId: ctx.status >= 500 ? String(ctx.state.requestId) : null,
      })
    },

    logout(ctx, formHtml) {
      const { client } = ctx.oidc
      pages.show(ctx, 200, 'logout', {
        app: client ? (client.clientName ?? client.clientId) : null,
        formHtml,
        host,
      })
    },

    loggedOut(ctx) {
      const { client } = ctx.oidc
      pages.show(ctx, 200, 'logged-out', {
        app: client ? (client.clientName ?? client.clientId) : null,
      })
    },
  }
}
