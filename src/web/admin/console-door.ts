import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { ROLES } from '../../accounts/account.ts'
import type { Account } from '../../accounts/accounts.ts'
import type { ConsoleSessions } from '../../admin/console-sessions.ts'
import type { FreshnessOf } from '../../admin/freshness.ts'
import { type Actor, actorName, assertMay, type Permission } from '../../admin/permissions.ts'
import type { Audit } from '../../audit/audit.ts'
import { ACR } from '../../oidc/acr.ts'
import { uidKey } from '../../oidc/sealed-records.ts'
import type { UnitsOfWork } from '../../oidc/unit-of-work.ts'
import type { PageForms } from '../page-forms.ts'
import { assertPlain } from '../plain.ts'
import type { RelyingParty } from '../relying-party.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsolePages } from './console-pages.ts'
import type { Who } from './who.ts'

export type ConsoleDoor = ReturnType<typeof createConsoleDoor>

type Handler = (ctx: Context, who: Who) => Promise<void> | void

interface Dependencies {
  provider: Provider
  units: UnitsOfWork
  relyingParty: RelyingParty
  sessions: ConsoleSessions
  freshnessOf: FreshnessOf
  audit: Audit
  forms: PageForms
  pages: ConsolePages
  secure: boolean
}

/** Lets people with a role in to the console, by a session of its own that a second factor opened. */
export function createConsoleDoor(deps: Dependencies) {
  const { provider, relyingParty, sessions, forms, pages, secure } = deps
  const cookie = `${secure ? '__Secure-' : ''}sallyport_console_session`

  const tokenOf = (ctx: Context): string => ctx.cookies.get(cookie, { signed: true }) ?? ''

  function keep(ctx: Context, token: string | null): void {
    ctx.cookies.set(cookie, token, {
      signed: true,
      httpOnly: true,
      sameSite: 'lax',
      secure,
      path: CONSOLE_URL,
      overwrite: true,
    })
  }

  /** Looked up anew each time: a role that is taken away is gone with the next request. */
  async function visitOf(ctx: Context): Promise<Who | 'nobody' | 'no-role'> {
    const token = tokenOf(ctx)
    const visit = token === '' ? undefined : await sessions.find(token)
    if (!visit) return 'nobody'
    const { account, fresh } = visit
    const role = ROLES.find((one) => one === account.role)
    if (!role) return 'no-role'
    const actor: Actor = { kind: 'person', id: account.id, role }
    ctx.state.actor = actorName(actor)
    return { account, actor, fresh, formToken: forms.token(ctx, pageOf(token)) }
  }

  /** Whoever is signed in to the provider, if anybody is. */
  async function signedIn(ctx: Context): Promise<Account | undefined> {
    const { accountId } = await provider.Session.get(ctx)
    return accountId ? deps.units.current().accounts.get(accountId) : undefined
  }

  function tellNoRole(ctx: Context): void {
    pages.tell(ctx, 403, {
      title: 'This isn’t for your account',
      message:
        'The account you are signed in with has no role here. An admin can give it one; or sign out, and sign in with another.',
      next: { url: `${CONSOLE_URL}/sign-out`, text: 'Sign out' },
    })
  }

  function tellSignedOut(ctx: Context): void {
    pages.tell(ctx, 403, {
      title: 'You are signed out',
      message: 'The console closes after half an hour without use. Nothing was changed.',
      next: { url: CONSOLE_URL, text: 'Sign in' },
    })
  }

  return {
    /** A page: whoever isn't in is sent to sign in, and comes back. */
    page: (permission: Permission, show: Handler) => async (ctx: Context) => {
      const who = await visitOf(ctx)
      if (who === 'no-role') return tellNoRole(ctx)
      if (who === 'nobody') {
        const account = await signedIn(ctx)
        if (account && account.role === null) return tellNoRole(ctx)
        return relyingParty.go(ctx, { to: ctx.path, again: 'nothing' })
      }
      assertMay(who.actor, permission)
      assertPlain(ctx.query, ctx.params)
      await show(ctx, who)
    },

    /** What a form does: refused without a session, its token and the permission. */
    form: (permission: Permission, act: Handler) => async (ctx: Context) => {
      const who = await visitOf(ctx)
      if (who === 'no-role') return tellNoRole(ctx)
      if (who === 'nobody') return tellSignedOut(ctx)
      await forms.guard(() => pageOf(tokenOf(ctx)))(ctx, async () => {
        assertMay(who.actor, permission)
        assertPlain(ctx.params, ctx.request.body)
        await act(ctx, who)
      })
    },

    /** What a form with a file does; it reads the form itself, and must check the token first. */
    upload:
      (
        permission: Permission,
        act: (ctx: Context, who: Who, assertToken: (given: unknown) => void) => Promise<void>,
      ) =>
      async (ctx: Context) => {
        const who = await visitOf(ctx)
        if (who === 'no-role') return tellNoRole(ctx)
        if (who === 'nobody') return tellSignedOut(ctx)
        assertMay(who.actor, permission)
        await act(ctx, who, (given) => forms.assertToken(ctx, pageOf(tokenOf(ctx)), given))
      },

    /** Has somebody show their second factor again, and come back here. @returns whether it is fresh already */
    isFresh(ctx: Context, { account, fresh }: Who): boolean {
      if (!fresh)
        relyingParty.go(ctx, { to: ctx.path, again: 'second-factor', username: account.username })
      return fresh
    },

    /** Back from the provider. */
    async arrive(ctx: Context): Promise<void> {
      const session = await provider.Session.get(ctx)
      const { accountId, uid } = session
      const arrival = await relyingParty.arrive(ctx, accountId ? { uid, accountId } : undefined)
      if (!arrival) return tellSignedOut(ctx)
      const account = await signedIn(ctx)
      if (!account || account.disabled || account.role === null) {
        await deps.audit.record({ type: 'console.refused', accountId: arrival.accountId })
        return tellNoRole(ctx)
      }
      const freshness = await deps.freshnessOf(account.id, arrival.authTime)
      // Whoever is signed in for longer shows a second factor again: what it was can't be told any more.
      if (freshness === 'stale')
        return relyingParty.go(ctx, {
          to: arrival.to,
          again: 'second-factor',
          username: account.username,
        })
      if (arrival.acr !== ACR.secondFactor || freshness === 'held') {
        await deps.audit.record({ type: 'console.refused', accountId: account.id })
        return pages.tell(ctx, 403, {
          title: 'Not with this factor',
          message:
            'The console takes a second factor that is your own, and that wasn’t added a short while ago beside others. Sign in again, and use one that you have had for longer.',
          next: { url: `${CONSOLE_URL}/sign-out`, text: 'Sign out' },
        })
      }
      const before = tokenOf(ctx)
      if (before) await sessions.close(before)
      keep(ctx, await sessions.open(account.id, uidKey(uid), arrival.authTime))
      ctx.status = 303
      ctx.redirect(arrival.to)
    },

    /** On to the provider's question whether to sign out; the console is closed with its session. */
    leave: relyingParty.leave,

    left(ctx: Context): void {
      pages.tell(ctx, 200, {
        title: 'You have left the console',
        message: 'You can close this page.',
        next: { url: CONSOLE_URL, text: 'Sign in again' },
      })
    },
  }
}

const pageOf = (token: string) => `${CONSOLE_URL} ${token}`
