import type Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import type { Permission } from '../../admin/permissions.ts'
import { Refusal } from '../../errors.ts'
import { field, parseForm } from '../forms.ts'
import type { Snippet } from './app-snippets.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'
import { type Done, goOn } from './done.ts'
import type { Who } from './who.ts'

export type Confirming = ReturnType<typeof createConfirming>

/** A field of a form, beside the reason. */
export interface FormField {
  name: string
  label: string
  kind:
    | 'text'
    | 'tel'
    | 'email'
    | 'url'
    | 'number'
    | 'code'
    | 'lines'
    | 'choice'
    | 'tick'
    | 'ticks'
    | 'hidden'
  hint?: string
  required?: boolean
  /** whether it is folded away, since few need it */
  advanced?: boolean
  /** for `choice` and `ticks` */
  options?: ReadonlyArray<{ value: string; label: string }>
  /** of `ticks`, the words that are ticked, with spaces between */
  value?: string
}

/** What was made and can be read only now, in place of a page to go on to. */
export interface Once {
  title: string
  message: string
  /** what can be copied, each with its name */
  values: ReadonlyArray<{ label: string; value: string }>
  /** where it goes on; back, if nothing is said */
  next?: string
  /** what goes with it */
  snippets?: readonly Snippet[]
}

/** Something an admin does: asked once, saying what will happen, with a reason, and recorded with who did it. */
export interface Action<About extends object> {
  /** as in `/admin/people/:id/disable` */
  path: string
  permission: Permission
  title: (about: About) => string
  /** what will happen, a sentence each */
  says: (about: About) => readonly string[]
  button: string
  /** whether it can't be undone: it is red */
  danger?: boolean
  /** whether it only takes away or helps on: everything else takes a fresh second factor */
  eased?: true
  reason: 'required' | 'optional' | 'none'
  fields?: (about: About) => readonly FormField[]
  /** what it is about; undefined when there is no such thing */
  about: (ctx: Context, who: Who) => Promise<About | undefined>
  /** the page it was asked for on */
  back: (about: About) => string
  act: (
    who: Who,
    about: About,
    given: { reason: string; fields: Readonly<Record<string, string>> },
  ) => Promise<{ to: string; done?: Done } | Once>
}

const LONGEST_REASON = 200

/** The pages that ask before something is done, and what their forms do. */
export function createConfirming({ door, pages }: { door: ConsoleDoor; pages: ConsolePages }) {
  return function add<About extends object>(router: Router, action: Action<About>): void {
    const isFreshEnough = (ctx: Context, who: Who) =>
      action.eased === true || door.isFresh(ctx, who)

    function show(
      ctx: Context,
      who: Who,
      about: About,
      { error = null, status = 200, given, reason = '' }: Shown = {},
    ): void {
      const fields = action.fields?.(about) ?? []
      pages.show(
        ctx,
        who,
        'confirm',
        {
          title: action.title(about),
          says: action.says(about),
          button: action.button,
          danger: action.danger ?? false,
          reasonAsked: action.reason,
          reason,
          fields: fields.map((one) => ({
            ...one,
            value: (given ? given[one.name] : one.value) ?? '',
          })),
          actionUrl: ctx.path,
          backUrl: action.back(about),
          error,
        },
        status,
      )
    }

    async function about(ctx: Context, who: Who): Promise<About> {
      const found = await action.about(ctx, who)
      if (!found) throw new Refusal('not_found', 404, 'There is no such thing, or no more.')
      return found
    }

    router.get(
      action.path,
      door.page(action.permission, async (ctx, who) => {
        const found = await about(ctx, who)
        if (!isFreshEnough(ctx, who)) return
        show(ctx, who, found)
      }),
    )

    router.post(
      action.path,
      door.form(action.permission, async (ctx, who) => {
        const found = await about(ctx, who)
        if (!isFreshEnough(ctx, who)) return
        const given = readFields(ctx, action.fields?.(found) ?? [])
        const reason = (given.reason ?? '').trim()
        const shown = { given, reason }
        const fault = reasonFault(reason, action.reason)
        if (fault) return show(ctx, who, found, { ...shown, error: fault, status: 400 })
        try {
          const outcome = await action.act(who, found, { reason, fields: given })
          if ('to' in outcome) goOn(ctx, outcome.to, outcome.done)
          else
            pages.show(ctx, who, 'once', {
              ...outcome,
              next: outcome.next ?? action.back(found),
              snippets: outcome.snippets ?? [],
            })
        } catch (error) {
          if (!(error instanceof Refusal) || error.status >= 500) throw error
          const { message, status } = error
          show(ctx, who, found, { ...shown, error: message, status })
        }
      }),
    )
  }
}

interface Shown {
  error?: string | null
  status?: number
  given?: Readonly<Record<string, string>>
  reason?: string
}

/** The fields of a form, and no others; boxes that aren't ticked and fields that aren't asked for don't come at all. */
function readFields(ctx: Context, fields: readonly FormField[]): Record<string, string> {
  const names = [...fields.flatMap(inputsOf), 'reason']
  const shape = Object.fromEntries(names.map((name) => [name, field.optional()]))
  const form = z.strictObject({ form_token: field, ...shape })
  const given: Readonly<Record<string, unknown>> = parseForm(ctx, form)
  const read = (name: string): Array<[string, string]> => {
    const value = given[name]
    return typeof value === 'string' ? [[name, value]] : []
  }
  const ticks = fields
    .filter(({ kind }) => kind === 'ticks')
    .map(({ name, options = [] }): [string, string] => [
      name,
      options.flatMap(({ value }) => (given[`${name}-${value}`] === 'yes' ? value : [])).join(' '),
    ])
  const others = fields.filter(({ kind }) => kind !== 'ticks').flatMap(({ name }) => read(name))
  return Object.fromEntries([...others, ...ticks, ...read('reason')])
}

/** The names that a field has in the form: each of several ticks has its own. */
function inputsOf({ name, kind, options = [] }: FormField): string[] {
  return kind === 'ticks' ? options.map(({ value }) => `${name}-${value}`) : [name]
}

function reasonFault(reason: string, asked: Action<object>['reason']): string | null {
  if (asked === 'none' || (asked === 'optional' && reason === '')) return null
  if (reason.length < 3) return 'Say why, in a few words.'
  return reason.length > LONGEST_REASON
    ? `A reason has at most ${LONGEST_REASON} characters.`
    : null
}
