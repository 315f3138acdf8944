import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Account, Accounts } from '../../accounts/accounts.ts'
import { Refusal } from '../../errors.ts'
import type { MessageKey } from '../../languages/language.ts'
import { ACR } from '../../oidc/acr.ts'
import type { Floor } from '../../oidc/assurance.ts'
import { ACCOUNT_CLIENT_ID } from '../../oidc/built-in.ts'
import { SESSION_OVER } from '../../oidc/sessions.ts'
import type { UnitsOfWork } from '../../oidc/unit-of-work.ts'
import type { Authenticators } from '../../second-factor/authenticators.ts'
import type { BackupCodes } from '../../second-factor/backup-codes.ts'
import { STAND_INS, type Visitor } from '../../second-factor/challenge-parts.ts'
import { FRESH_SECONDS, type Guesses } from '../../second-factor/guesses.ts'
import type { Phones } from '../../second-factor/phones.ts'
import type { TrustedDevices } from '../../second-factor/trusted-devices.ts'
import type { BrowserCookie } from '../browser-cookie.ts'
import type { KnownBrowsers } from '../known-browser.ts'
import type { PageForms } from '../page-forms.ts'
import type { Pages } from '../pages.ts'
import type { Draft, RelyingParty } from '../relying-party.ts'
import type { TrustedBrowserCookie } from '../trusted-browser.ts'
import { ACCOUNT_URL } from './account-app.ts'
import { doneOf } from './done.ts'

export type Door = ReturnType<typeof createDoor>

/** Who is at a page of `/account`. */
export interface Me {
  account: Account
  sessionUid: string
  /** when the session was signed in to, in seconds since 1970 */
  signedInAt: number
  /** whether the session was signed in to with a second factor */
  bySecondFactor: boolean
  /** as challenges know this browser */
  visitor: Visitor
}

type Handler = (ctx: Context, me: Me) => Promise<void> | void

/** That someone may make a sensitive change now. */
export interface Proof {
  /** it came from a backup code or one of the help desk, so the password is asked for, too (BKP-11) */
  byBackupCode: boolean
}

/** What a typed password was found to be; `hash`: of the one that was right. */
export type PasswordVerdict = { right: true; hash: string } | { right: false; why: MessageKey }

export interface DoorDependencies {
  provider: Provider
  units: UnitsOfWork
  relyingParty: RelyingParty
  pages: Pages
  forms: PageForms
  browsers: BrowserCookie
  accounts: Accounts
  guesses: Guesses
  phones: Phones
  authenticators: Authenticators
  backupCodes: BackupCodes
  trustedDevices: TrustedDevices
  trustedCookie: TrustedBrowserCookie
  knownBrowsers: KnownBrowsers
  secondFactor: Floor
  /** whether people add their first factor themselves */
  selfEnrolment: boolean
}

/** Lets people in to their own pages, by the provider's session, and to sensitive changes by a fresh second factor. */
export function createDoor(deps: DoorDependencies) {
  const { provider, units, relyingParty, pages, forms, browsers, accounts, guesses } = deps

  /** Whether a sign-in that the provider found enough still is, as the house's rules are today (SES-08). */
  async function isEnough(ctx: Context, accountId: string, acr: string | undefined) {
    if (acr === ACR.secondFactor || deps.secondFactor === 'optional') return true
    const token = deps.trustedDevices.offered ? deps.trustedCookie.read(ctx) : undefined
    return token !== undefined && deps.trustedDevices.isTrusted(token, accountId)
  }

  /** The provider's session of this browser, looked up anew each time: once it is ended, so is this (SES-06). */
  async function sessionOf(ctx: Context) {
    const session = await provider.Session.get(ctx)
    const { accountId, uid, loginTs = 0, acr } = session
    const account = accountId ? units.current().accounts.get(accountId) : undefined
    if (!account || account.disabled) return undefined
    return {
      account,
      uid,
      loginTs,
      acr,
      isOurs: session.grantIdFor(ACCOUNT_CLIENT_ID) !== undefined,
    }
  }

  async function me(ctx: Context): Promise<Me | undefined> {
    const session = await sessionOf(ctx)
    if (!session?.isOurs) return undefined
    const { account, uid, loginTs, acr } = session
    if (!(await isEnough(ctx, account.id, acr))) return undefined
    const browser = browsers.read(ctx) ?? browsers.give(ctx)
    const visitor = { interaction: `account:${uid}`, browser }
    const bySecondFactor = acr === ACR.secondFactor
    return { account, sessionUid: uid, signedInAt: loginTs, bySecondFactor, visitor }
  }

  const tokenPage = ({ sessionUid }: Me) => `${ACCOUNT_URL} ${sessionUid}`

  async function hasFactor(accountId: string): Promise<boolean> {
    const phones = await deps.phones.list(accountId)
    return phones.length > 0 || (await deps.authenticators.describe(accountId)) !== undefined
  }

  /** A page that says why it doesn't go on here, and leads elsewhere. */
  function tell(
    ctx: Context,
    status: number,
    title: MessageKey,
    message: MessageKey,
    next: MessageKey,
  ): void {
    pages.show(ctx, status, 'password-told', {
      title: pages.say(ctx, title),
      message: pages.say(ctx, message),
      retryInMinutes: null,
      next: { url: ACCOUNT_URL, text: pages.say(ctx, next) },
    })
  }

  const tellSignedOut = (ctx: Context): void =>
    tell(ctx, 403, 'account.signedOutTitle', 'account.signedOut', 'account.signIn')

  function shell(ctx: Context, who: Me) {
    return {
      username: who.account.username,
      formToken: forms.token(ctx, tokenPage(who)),
      done: doneOf(ctx, pages),
    }
  }

  /**
   * Whether a sensitive change may be made now (ADM-03): this session is one of a second factor, and this
   * browser proved one lately. Someone who has none yet adds the first on the strength of a password as fresh
   * as that; backup codes that an admin gave them are asked for first.
   * @param back the page to come back to; `draft`: what was typed there
   * @returns undefined when it may not, and the answer is given: a sign-in, or why that wouldn't help
   */
  async function proof(
    ctx: Context,
    who: Me,
    back: string,
    draft?: Draft,
  ): Promise<Proof | undefined> {
    const { account, visitor } = who
    const going = { to: back, username: account.username, draft }
    const asksAgain = ctx.method !== 'POST' && ctx.query.again !== undefined
    // A proof from before this session may be that of whoever sat here then.
    if (who.bySecondFactor && !asksAgain) {
      const fresh = await guesses.freshness(visitor.browser, account.id)
      if (fresh.state === 'fresh') return { byBackupCode: STAND_INS.has(fresh.factor) }
      if (fresh.state === 'held') {
        const { until } = fresh
        pages.show(ctx, 403, 'account-held', { ...shell(ctx, who), until, againUrl: back })
        return undefined
      }
    }
    const canShowMore =
      (await hasFactor(account.id)) || (await deps.backupCodes.count(account.id)).left > 0
    const age = Math.floor(Date.now() / 1000) - who.signedInAt
    if (!canShowMore && age < FRESH_SECONDS) return { byBackupCode: false }
    relyingParty.go(ctx, { ...going, again: canShowMore ? 'second-factor' : 'password' })
    return undefined
  }

  return {
    /** What every page needs. */
    shell,
    hasFactor,

    /** A page: whoever isn't signed in is sent to do so, and comes back. */
    page: (show: Handler) => async (ctx: Context) => {
      const who = await me(ctx)
      if (who) await show(ctx, who)
      else relyingParty.go(ctx, { to: ctx.path })
    },

    /** What a form does: refused without a whole session (ADM-04) and without this session's token. */
    form: (act: Handler) => async (ctx: Context) => {
      const who = await me(ctx)
      if (!who) return tellSignedOut(ctx)
      try {
        await forms.guard(() => tokenPage(who))(ctx, async () => act(ctx, who))
      } catch (error) {
        // It ended between our look at it and the change.
        if (!(error instanceof Refusal) || error.code !== SESSION_OVER) throw error
        tellSignedOut(ctx)
      }
    },

    /** Back from the provider. */
    async arrive(ctx: Context): Promise<void> {
      const who = await me(ctx)
      const session = who && { uid: who.sessionUid, accountId: who.account.id }
      const arrival = await relyingParty.arrive(ctx, session)
      // Whoever cancelled is as signed in as before; someone who isn't gets no further sign-in page unasked.
      if (!who) return tellSignedOut(ctx)
      ctx.status = 303
      ctx.redirect(arrival?.to ?? ACCOUNT_URL)
    },

    /** Back from the page that asks whether to sign out. */
    async left(ctx: Context): Promise<void> {
      if (await sessionOf(ctx)) {
        ctx.status = 303
        return ctx.redirect(ACCOUNT_URL)
      }
      pages.show(ctx, 200, 'logged-out', { app: null })
    },

    proof,

    /** The same for adding a factor: the first is added by people themselves only where that is the rule. */
    async proofToAdd(ctx: Context, who: Me, back: string, draft?: Draft) {
      if (deps.selfEnrolment || (await hasFactor(who.account.id)))
        return proof(ctx, who, back, draft)
      tell(ctx, 403, 'ended.noPhoneTitle', 'account.askToAdd', 'account.back')
      return undefined
    },

    /** Judges a password as the person's own; a wrong one counts as at the login page. */
    async judgePassword(ctx: Context, { account }: Me, password: string): Promise<PasswordVerdict> {
      const { username } = account
      const known = deps.knownBrowsers.of(ctx, username)
      const attempt = await accounts.authenticate(username, password, known)
      const concluded = await attempt.conclude(attempt.account?.id === account.id)
      if (concluded) return { right: true, hash: concluded.hash }
      return {
        right: false,
        why: attempt.judged ? 'account.passwordWrong' : 'account.passwordWait',
      }
    },

    /** There is no such thing, or it is somebody else's: nobody is told which (ADM-07). */
    gone: (ctx: Context): void =>
      tell(ctx, 404, 'account.goneTitle', 'account.gone', 'account.back'),
  }
}
