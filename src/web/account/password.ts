import type Router from '@koa/router'
import type { Context } from 'koa'
import type { Accounts } from '../../accounts/accounts.ts'
import type { Strength } from '../../accounts/password-quality.ts'
import { PASSWORD_INPUT_LIMIT } from '../../accounts/passwords.ts'
import { field } from '../forms.ts'
import type { Pages } from '../pages.ts'
import { FAULT_WORDS } from '../password-words.ts'
import { ACCOUNT_URL } from './account-app.ts'
import { goOn } from './done.ts'
import type { Door, Me } from './door.ts'
import { readStrict } from './input.ts'

const PASSWORD_URL = '/account/password'

interface Dependencies {
  door: Door
  pages: Pages
  accounts: Accounts
}

interface Fault {
  fault: 'current' | 'new'
  error: string
  strength?: Strength | null
  status?: number
}

const typed = field.max(PASSWORD_INPUT_LIMIT)

/** Changing the password: by who knows the old one and has proven a second factor. */
export function addPassword(router: Router, { door, pages, accounts }: Dependencies): void {
  function show(ctx: Context, who: Me, wrong?: Fault): void {
    pages.show(ctx, wrong ? (wrong.status ?? 400) : 200, 'account-password', {
      ...door.shell(ctx, who),
      error: wrong?.error ?? null,
      fault: wrong?.fault ?? null,
      strength: wrong?.strength ?? null,
    })
  }

  router.get(
    PASSWORD_URL,
    door.page(async (ctx, who) => {
      if (await door.proof(ctx, who, PASSWORD_URL)) show(ctx, who)
    }),
  )

  router.post(
    PASSWORD_URL,
    door.form(async (ctx, who) => {
      const form = readStrict(ctx, { current: typed, password: field, again: field })
      if (!(await door.proof(ctx, who, PASSWORD_URL))) return
      const { say } = pages.languageOf(ctx)
      const { current, password, again } = form
      if (!current)
        return show(ctx, who, { fault: 'current', error: say('account.passwordMissing') })
      if (!password) return show(ctx, who, { fault: 'new', error: say('password.missing') })
      if (password !== again) return show(ctx, who, { fault: 'new', error: say('password.differ') })
      const verdict = await door.judgePassword(ctx, who, current)
      if (!verdict.right) {
        const error = say(verdict.why)
        return show(ctx, who, { fault: 'current', error, status: 403 })
      }
      const { account, sessionUid } = who
      const setting = { how: 'changed', sessionUid, instead: verdict.hash } as const
      const set = await accounts.setPassword(account.id, password, setting)
      if (!set.ok) {
        if (set.fault === 'replaced') {
          const error = say('account.passwordWrong')
          return show(ctx, who, { fault: 'current', error, status: 403 })
        }
        const { fault, strength } = set
        return show(ctx, who, { fault: 'new', error: say(FAULT_WORDS[fault]), strength })
      }
      goOn(ctx, ACCOUNT_URL, 'password-changed')
    }),
  )
}
