import type { Context } from 'koa'
import type { MessageKey } from '../../languages/language.ts'
import type { Pages } from '../pages.ts'

/** What can just have been done, as the address says it after a form. */
const DONE = {
  'phone-added': 'account.done.phoneAdded',
  'phone-removed': 'account.done.phoneRemoved',
  'phone-primary': 'account.done.phonePrimary',
  'phone-named': 'account.done.phoneNamed',
  'app-added': 'account.done.appAdded',
  'app-removed': 'account.done.appRemoved',
  'password-changed': 'account.done.passwordChanged',
  'browser-forgotten': 'account.done.browserForgotten',
  'browsers-forgotten': 'account.done.browsersForgotten',
  'session-ended': 'account.done.sessionEnded',
  'sessions-ended': 'account.done.sessionsEnded',
  'access-revoked': 'account.done.accessRevoked',
} as const satisfies Record<string, MessageKey>

export type Done = keyof typeof DONE

/** Answers a form: on to a page that says what was done. */
export function goOn(ctx: Context, url: string, done?: Done): void {
  ctx.status = 303
  ctx.redirect(done ? `${url}?done=${done}` : url)
}

/** What a page says was done; anybody can write an address, so it is one of our sentences or nothing. */
export function doneOf(ctx: Context, pages: Pages): string | null {
  const { done } = ctx.query
  return typeof done === 'string' && isDone(done) ? pages.say(ctx, DONE[done]) : null
}

function isDone(word: string): word is Done {
  return Object.hasOwn(DONE, word)
}
