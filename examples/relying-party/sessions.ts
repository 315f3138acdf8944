import { randomBytes } from 'node:crypto'
import type { Context } from 'koa'
import type * as client from 'openid-client'
import type { Call, Needed } from './api.ts'

/** Someone who is signed in. */
export interface User {
  /** what the ID token says: who, by whom, how and when; every claim checked */
  claims: client.IDToken
  /** what userinfo adds: name, e-mail, phone */
  profile: client.UserInfoResponse
  idToken: string
  accessToken: string
}

/** A sign-in begun and not finished. */
export interface Attempt {
  nonce: string
  codeVerifier: string
  needed: Needed
  /** what the person wanted when a better sign-in was found due, who they were, and why it wasn't enough */
  resume?: { call: Call; sub: string; error: string } | undefined
}

export interface Session {
  expiresAt: number
  user?: User
  /** what came of the last thing the person did, to be shown once */
  notice?: string | undefined
  /** by their `state`: there may be one in each tab */
  pending: Map<string, Attempt>
}

const COOKIE = 'example_app_session'
const SESSION_HOURS = 8

/** Who is signed in to this app, kept in memory. */
export function createSessions() {
  const sessions = new Map<string, Session>()

  return {
    of(ctx: Context): Session | undefined {
      const session = sessions.get(ctx.cookies.get(COOKIE) ?? '')
      return session && session.expiresAt > Date.now() ? session : undefined
    },

    /** A new session under a new id: an id from before the sign-in, which others may know, is worth nothing after it. */
    begin(ctx: Context, user?: User): Session {
      for (const [id, { expiresAt }] of sessions) if (expiresAt <= Date.now()) sessions.delete(id)
      sessions.delete(ctx.cookies.get(COOKIE) ?? '')
      const id = randomBytes(32).toString('base64url')
      const session: Session = {
        expiresAt: Date.now() + SESSION_HOURS * 3600 * 1000,
        pending: new Map(),
        ...(user && { user }),
      }
      sessions.set(id, session)
      ctx.cookies.set(COOKIE, id, { httpOnly: true, sameSite: 'lax', path: '/' })
      return session
    },

    end(ctx: Context): void {
      sessions.delete(ctx.cookies.get(COOKIE) ?? '')
      ctx.cookies.set(COOKIE, null)
    },
  }
}
