import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { verify } from '@node-rs/argon2'
import { exportJWK, generateKeyPair } from 'jose'
import Provider, { type Configuration } from 'oidc-provider'
import { Pool } from 'pg'
import { createBareAdapter } from './bare-adapter.ts'
import { BARE_SECRET, CLIENT } from './people.ts'

export interface BareSettings {
  port: number
  databaseUrl: string
  /** called with each statement sent */
  onStatement?: (statement: string) => void
}

const HOUR = 3600

/**
 * What one has after following node-oidc-provider's documentation: its own defaults, a plain adapter, a login page
 * of a few lines, and none of the protections. Nobody is asked for consent, as with a first-party app of ours.
 */
export async function startBare(settings: BareSettings): Promise<{ stop(): Promise<void> }> {
  const { onStatement } = settings
  const pool = new Pool({ connectionString: settings.databaseUrl, max: 10 })
  if (onStatement) {
    const query = pool.query.bind(pool)
    Object.assign(pool, {
      query(statement: string, values: unknown[]) {
        onStatement(statement)
        return query(statement, values)
      },
    })
  }
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const configuration: Configuration = {
    adapter: createBareAdapter(pool),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig' }] },
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: BARE_SECRET,
        redirect_uris: [CLIENT.redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      },
    ],
    cookies: { keys: ['the key of a bench, which protects nothing'] },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async (_ctx, app) => app.grantTypeAllowed('refresh_token'),
    features: { devInteractions: { enabled: false } },
    ttl: {
      AccessToken: HOUR,
      AuthorizationCode: 60,
      Grant: 14 * 24 * HOUR,
      IdToken: HOUR,
      Interaction: HOUR,
      RefreshToken: 14 * 24 * HOUR,
      Session: 14 * 24 * HOUR,
    },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    async findAccount(_ctx, id) {
      const { rows } = await pool.query<{ id: string }>('select id from person where id = $1', [id])
      return rows[0] && { accountId: id, claims: async () => ({ sub: id }) }
    },
    // As its recipe for skipping consent has it.
    async loadExistingGrant({ oidc }) {
      const { client: app, session, account } = oidc
      if (!app || !session || !account) return undefined
      const id = oidc.result?.consent?.grantId ?? session.grantIdFor(app.clientId)
      if (id) return oidc.provider.Grant.find(id)
      const grant = new oidc.provider.Grant({
        clientId: app.clientId,
        accountId: account.accountId,
      })
      grant.addOIDCScope('openid')
      await grant.save()
      return grant
    },
  }
  const provider = new Provider(`http://localhost:${settings.port}`, configuration)
  const serve = provider.callback()

  async function logIn(form: URLSearchParams): Promise<string | undefined> {
    const { rows } = await pool.query<{ id: string; password_hash: string }>(
      'select id, password_hash from person where username = $1',
      [form.get('username')],
    )
    const [person] = rows
    return person && (await verify(person.password_hash, form.get('password') ?? ''))
      ? person.id
      : undefined
  }

  const server = createServer(async (request, response) => {
    if (!request.url?.startsWith('/interaction/')) return serve(request, response)
    try {
      const { uid, params } = await provider.interactionDetails(request, response)
      const accountId = request.method === 'POST' ? await logIn(await formOf(request)) : undefined
      if (accountId) {
        return await provider.interactionFinished(request, response, { login: { accountId } })
      }
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' })
      response.end(page(uid, String(params.client_id)))
    } catch {
      response.writeHead(500).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(settings.port, '127.0.0.1', resolve))
  return {
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await pool.end()
    },
  }
}

const formOf = async (request: IncomingMessage) => new URLSearchParams(await text(request))

const page = (uid: string, client: string) => `<!doctype html>
<title>Sign in</title>
<h1>Sign in to ${client.replaceAll('<', '&lt;')}</h1>
<form method="post" action="/interaction/${uid}/login">
<input name="username"><input name="password" type="password"><button>Sign in</button>
</form>`
