import { createServer } from 'node:http'
import Router from '@koa/router'
import Koa, { type Context } from 'koa'
import * as client from 'openid-client'
import { type Answer, callApi, isCall, type Needed } from './api.ts'
import { errorPage, signedInPage, signedOutPage, styles } from './pages.ts'
import { createDiscovery } from './provider.ts'
import { type Attempt, createSessions, type Session, type User } from './sessions.ts'

export interface RelyingPartyOptions {
  /** the provider's address, as in its discovery document */
  issuer: string
  clientId: string
  clientSecret: string
  port: number
  /** address to listen on */
  host?: string
  /** the API of `../protected-api`, if this app has it behind it */
  apiUrl?: string | undefined
}

export interface RelyingParty {
  url: string
  close(): Promise<void>
}

const PENDING_AT_MOST = 10
const SCOPE = 'openid profile email phone'

/** A small app that leaves signing in to an OpenID Connect provider. Behind TLS, its cookie must be `Secure`. */
export async function startRelyingParty(options: RelyingPartyOptions): Promise<RelyingParty> {
  const { issuer, clientId, clientSecret, port, host = '127.0.0.1', apiUrl } = options
  const url = `http://localhost:${port}`
  const redirectUri = `${url}/callback`
  const sessions = createSessions()
  const provider = createDiscovery(issuer, clientId, clientSecret)

  /** Sends the person to the provider. */
  async function askSignIn(
    ctx: Context,
    session: Session,
    needed: Needed = {},
    resume?: Attempt['resume'],
  ): Promise<void> {
    const configuration = await provider()
    const state = client.randomState()
    const attempt: Attempt = {
      nonce: client.randomNonce(),
      codeVerifier: client.randomPKCECodeVerifier(),
      needed,
      resume,
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
        ...needed,
      }),
    )
  }

  /** Does what was begun before the sign-in, once and for the same person, and says what came of it. */
  async function resumed({ claims, accessToken }: User, resume: Attempt['resume'], api: string) {
    if (!resume) return undefined
    if (claims.sub !== resume.sub) return 'Someone else signed in, so nothing was done.'
    const answer = await callApi(await provider(), api, accessToken, resume.call)
    return `The API’s first answer was ${resume.error}. You proved more. ${told(answer)}`
  }

  const router = new Router()

  router.get('/', (ctx) => {
    const session = sessions.of(ctx)
    if (!session?.user) {
      ctx.body = signedOutPage()
      return
    }
    ctx.body = signedInPage(session.user, { api: apiUrl !== undefined, notice: session.notice })
    session.notice = undefined
  })

  router.get('/sign-in', (ctx) => askSignIn(ctx, sessions.of(ctx) ?? sessions.begin(ctx)))

  router.get('/callback', async (ctx) => {
    const session = sessions.of(ctx)
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
        ...(attempt.needed.max_age && { maxAge: Number(attempt.needed.max_age) }),
      },
    )
    const claims = tokens.claims()
    if (!claims || !tokens.id_token) throw new Error('the provider gave no ID token')
    const { access_token: accessToken, id_token: idToken } = tokens
    const profile = await client.fetchUserInfo(configuration, accessToken, claims.sub)
    const user = { claims, profile, idToken, accessToken }
    const next = sessions.begin(ctx, user)
    if (apiUrl) next.notice = await resumed(user, attempt.resume, apiUrl)
    redirect(ctx, new URL(url))
  })

  // By POST, and the cookie is SameSite=Lax: another site's page can't do anything here in a visitor's name.
  router.post('/api/:call', async (ctx) => {
    const session = sessions.of(ctx)
    const { call } = ctx.params
    if (!session?.user || !apiUrl || !isCall(call)) return redirect(ctx, new URL(url))
    const { claims, accessToken } = session.user
    const answer = await callApi(await provider(), apiUrl, accessToken, call)
    if (answer.outcome === 'needs') {
      const { needed, error } = answer
      return askSignIn(ctx, session, needed, { call, sub: claims.sub, error })
    }
    session.notice = told(answer)
    redirect(ctx, new URL(url))
  })

  router.post('/sign-out', async (ctx) => {
    const user = sessions.of(ctx)?.user
    sessions.end(ctx)
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

function told(answer: Answer): string {
  return answer.outcome === 'answered'
    ? `The API answers ${answer.text}`
    : `The API still says no (${answer.error}).`
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
    title: 'That didn’t work',
    message:
      'The provider, or the API, can’t be reached, or gave an answer that could not be trusted. Please try again.',
  }
}

function redirect(ctx: Context, to: URL): void {
  ctx.redirect(to.href)
  ctx.status = 303
}
