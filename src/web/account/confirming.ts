import type Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import { PASSWORD_INPUT_LIMIT } from '../../accounts/passwords.ts'
import { Refusal } from '../../errors.ts'
import type { MessageKey } from '../../languages/language.ts'
import { field } from '../forms.ts'
import type { Pages } from '../pages.ts'
import { wordsOf } from '../refusals.ts'
import type { Door, Me, Proof } from './door.ts'
import { readStrict } from './input.ts'

export type Confirming = ReturnType<typeof createConfirming>

/** A sensitive change that takes nothing but a yes; and, from someone who came in with a backup code or one of the help desk, the password. */
interface Change<About extends object> {
  path: string
  title: MessageKey
  message: MessageKey
  button: MessageKey
  /** what it is about; undefined when there is no such thing, or it is somebody else's */
  about: (ctx: Context, who: Me) => Promise<About | undefined>
  /** the number it is about, masked */
  phone?: (about: About) => string
  /** the page it was asked for on */
  back: (about: About) => string
  /** how what it is about stood when the page was shown; a form that saw it otherwise goes back there */
  seen?: (about: About) => string
  act: (ctx: Context, who: Me, about: About, proof: Proof) => Promise<void>
  /** whether it adds a factor */
  adds?: true
}

/** A password field that stands in a form only where it is asked for. */
export const passwordField = z.object({
  password: field.max(PASSWORD_INPUT_LIMIT).optional(),
}).shape

/** "Are you sure?" pages, and what their forms do. */
export function createConfirming({ door, pages }: { door: Door; pages: Pages }) {
  /**
   * Whether the password in a form is right, where one is asked for.
   * @returns what is wrong, in words
   */
  async function faultOf(
    ctx: Context,
    who: Me,
    { byBackupCode }: Proof,
    password: string | undefined,
  ): Promise<string | null> {
    if (!byBackupCode) return null
    if (!password) return pages.say(ctx, 'account.passwordMissing')
    const verdict = await door.judgePassword(ctx, who, password)
    return verdict.right ? null : pages.say(ctx, verdict.why)
  }

  return {
    faultOf,

    add<About extends object>(router: Router, change: Change<About>): void {
      const { title, message, button } = change
      const proofOf = change.adds ? door.proofToAdd : door.proof

      function show(
        ctx: Context,
        who: Me,
        about: About,
        proof: Proof,
        error: string | null,
        status = 200,
      ) {
        pages.show(ctx, status, 'account-confirm', {
          ...door.shell(ctx, who),
          title: pages.say(ctx, title),
          message: pages.say(ctx, message),
          phone: change.phone?.(about) ?? null,
          button: pages.say(ctx, button),
          actionUrl: ctx.path,
          backUrl: change.back(about),
          askPassword: proof.byBackupCode,
          seen: change.seen?.(about) ?? null,
          error,
        })
      }

      router.get(
        change.path,
        door.page(async (ctx, who) => {
          const about = await change.about(ctx, who)
          if (!about) return door.gone(ctx)
          const proof = await proofOf(ctx, who, ctx.path)
          if (proof) show(ctx, who, about, proof, null)
        }),
      )

      router.post(
        change.path,
        door.form(async (ctx, who) => {
          const { password, seen } = readStrict(ctx, {
            ...passwordField,
            seen: change.seen ? field : z.undefined().optional(),
          })
          const about = await change.about(ctx, who)
          if (!about) return door.gone(ctx)
          const proof = await proofOf(ctx, who, ctx.path)
          if (!proof) return
          if (change.seen && seen !== change.seen(about)) {
            ctx.status = 303
            return ctx.redirect(change.back(about))
          }
          const fault = await faultOf(ctx, who, proof, password)
          if (fault) return show(ctx, who, about, proof, fault, 403)
          try {
            await change.act(ctx, who, about, proof)
          } catch (error) {
            const words = error instanceof Refusal ? wordsOf(error) : undefined
            if (!(error instanceof Refusal && words) || error.status !== 409) throw error
            show(ctx, who, about, proof, pages.say(ctx, words.key, words.values), 409)
          }
        }),
      )
    },
  }
}
