import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import Router from '@koa/router'
import Koa, { type Context } from 'koa'
import * as client from 'openid-client'
import { errorPage, signedInPage, signedOutPage, styles } from './pages.ts'

export interface RelyingPartyOptions {
  /** the provider's address, as in its discovery document */
  issuer: string
  clientId: string
  clientSecret: string
  port: number
  /** address to listen on */
  host?: string
}

export interface RelyingParty {
  url: string
  close(): Promise<void>
}

/** Someone who is signed in. */
export interface User {
  /** what the ID token says: who, by whom, how and when; every claim checked */
  claims: client.IDToken
  /** what userinfo adds: name, e-mail, phone */
  profile: client.UserInfoResponse
  idToken: string
}

interface Session {
  expiresAt: number
  user?: User
  /** sign-ins begun in this browser and not finished, by their `state`: there may be one in each tab */
  pending: Map<string, { nonce: string; codeVerifier: string }>
}

const SESSION_HOURS = 8
const PENDING_AT_MOST = 10
const SCOPE = 'openid profile email phone'

/** A small app that leaves signing in to an OpenID Connect provider. Behind TLS, its cookie must be `Secure`. */
export async function startRelyingParty(options: RelyingPartyOptions): Promise<RelyingParty> {
  const { issuer, clientId, clientSecret, port, host = '127.0.0.1' } = options
  const url = `http://localhost:${port}`
  const redirectUri = `${url}/callback`
  const cookieName = 'example_app_session'
  const sessions = new Map<string, Session>()
  const provider = createDiscovery(issuer, clientId, clientSecret)

  function sessionOf(ctx: Context): Session | undefined {
    const session = sessions.get(ctx.cookies.get(cookieName) ?? '')
    return session && session.expiresAt > Date.now() ? session : undefined
  }

  /** A new session under a new id: an id from before the sign-in, which others may know, is worth nothing after it. */
  function beginSession(ctx: Context, user?: User): Session {
    for (const [id, { expiresAt }] of sessions) if (expiresAt <= Date.now()) sessions.delete(id)
    sessions.delete(ctx.cookies.get(cookieName) ?? '')
    const id = randomBytes(32).toString('base64url')
    const session: Session = {
      expiresAt: Date.now() + SESSION_HOURS * 3600 * 1000,
      pending: new Map(),
      ...(user && { user }),
    }
    sessions.set(id, session)
    ctx.cookies.set(cookieName, id, { httpOnly: true, sameSite: 'lax', path: '/' })
    return session
  }

  function endSession(ctx: Context): void {
    sessions.delete(ctx.cookies.get(cookieName) ?? '')
    ctx.cookies.set(cookieName, null)
  }

  const router = new Router()

  router.get('/', (ctx) => {
    const user = sessionOf(ctx)?.user
    ctx.body = user ? signedInPage(user) : signedOutPage()
  })

  router.get('/sign-in', async (ctx) => {
    const configuration = await provider()
    const session = sessionOf(ctx) ?? beginSession(ctx)
    const state = client.randomState()
    const attempt = {
      nonce: client.randomNonce(),
      codeVerifier: client.randomPKCECodeVerifier(),
    }
    const [oldest] = session.pending.keys()
    if (oldest && session.pending.size >= PENDING_AT_MOST) session.pending.delete(oldest)
    session.pending.set(state, attempt)
    redirect(
      ctx,
      client.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: SCOPE,
        state,
        nonce: attempt.nonce,
        code_challenge: await client.calculatePKCECodeChallenge(attempt.codeVerifier),
        code_challenge_method: 'S256',
      }),
    )
  })

  router.get('/callback', async (ctx) => {
    const session = sessionOf(ctx)
    const expectedState = new URLSearchParams(ctx.querystring).get('state') ?? ''
    const attempt = session?.pending.get(expectedState)
    if (!session || !attempt) {
      ctx.status = 400
      ctx.body = errorPage(
        'This sign-in didn’t start here',
        'It was started in another browser, was finished already, or is too old. Nothing was changed.',
      )
      return
    }
    session.pending.delete(expectedState)
    const configuration = await provider()
    const tokens = await client.authorizationCodeGrant(
      configuration,
      // Built from our own address, not from the Host header, which the visitor chooses.
      new URL(`${redirectUri}?${ctx.querystring}`),
      {
        expectedState,
        expectedNonce: attempt.nonce,
        pkceCodeVerifier: attempt.codeVerifier,
        idTokenExpected: true,
      },
    )
    const claims = tokens.claims()
    if (!claims || !tokens.id_token) throw new Error('the provider gave no ID token')
    const profile = await client.fetchUserInfo(configuration, tokens.access_token, claims.sub)
    beginSession(ctx, { claims, profile, idToken: tokens.id_token })
    redirect(ctx, new URL(url))
  })

  // By POST, and the cookie is SameSite=Lax: another site's page can't sign anybody out.
  router.post('/sign-out', async (ctx) => {
    const user = sessionOf(ctx)?.user
    endSession(ctx)
    if (!user) return redirect(ctx, new URL(url))
    redirect(
      ctx,
      client.buildEndSessionUrl(await provider(), {
        id_token_hint: user.idToken,
        post_logout_redirect_uri: `${url}/signed-out`,
      }),
    )
  })

  router.get('/signed-out', (ctx) => {
    ctx.body = signedOutPage('You are signed out of this app.')
  })

  router.get('/styles.css', (ctx) => {
    ctx.type = 'css'
    ctx.body = styles
  })

  const app = new Koa()
  app.use(async (ctx, next) => {
    ctx.set({
      'Content-Security-Policy':
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'same-origin',
      'Cache-Control': 'no-store',
    })
    ctx.type = 'html'
    try {
      await next()
    } catch (error) {
      const { status, title, message } = explain(error)
      if (status >= 500) console.error('example app:', error)
      ctx.status = status
      ctx.type = 'html'
      ctx.body = errorPage(title, message)
    }
  })
  app.use(router.routes())

  const server = createServer(app.callback())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    url,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

/** Asks for the provider's discovery document at the first sign-in and keeps it; a failure isn't kept. */
function createDiscovery(issuer: string, clientId: string, clientSecret: string) {
  let found: Promise<client.Configuration> | undefined
  return (): Promise<client.Configuration> => {
    found ??= client
      .discovery(new URL(issuer), clientId, undefined, client.ClientSecretBasic(clientSecret), {
        // Without this, openid-client trusts TLS to the provider and doesn't look at the ID token's signature.
        execute: [client.enableNonRepudiationChecks, ...insecureOnLoopback(issuer)],
        timeout: 10,
      })
      .catch((error: unknown) => {
        found = undefined
        throw error
      })
    return found
  }
}

/** Plain http is for a provider on this machine only. */
function insecureOnLoopback(issuer: string) {
  const { protocol, hostname } = new URL(issuer)
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
  return protocol === 'http:' && loopback ? [client.allowInsecureRequests] : []
}

/** What went wrong, for the person in front of it. Details are for the log. */
function explain(error: unknown): { status: number; title: string; message: string } {
  if (error instanceof client.AuthorizationResponseError) {
    return error.error === 'access_denied'
      ? {
          status: 403,
          title: 'You cancelled the sign-in',
          message: 'Nothing was shared with this app. You can sign in whenever you like.',
        }
      : {
          status: 400,
          title: 'The sign-in didn’t work',
          message: `The provider answered “${error.error}”. Please try again.`,
        }
  }
  return {
    status: 502,
    title: 'The sign-in didn’t work',
    message: 'The provider can’t be reached, or its answer could not be trusted. Please try again.',
  }
}

function redirect(ctx: Context, to: URL): void {
  ctx.redirect(to.href)
  ctx.status = 303
}
