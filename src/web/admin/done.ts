import type { Context } from 'koa'

/** What can just have been done, as the address says it after a form. */
const DONE = {
  created: 'The account was made.',
  changed: 'The change is saved.',
  'role-changed': 'The role is changed.',
  disabled: 'The account is disabled, and everything it had open has ended.',
  enabled: 'The account is enabled. What had ended doesn’t come back.',
  erased: 'The account is erased.',
  unlocked: 'Passwords and codes are taken again.',
  'link-mailed': 'The link is on its way by mail.',
  'factors-reset': 'The second factor is reset. The person adds a new one at the next sign-in.',
  'phone-added':
    'The phone is added. It counts as unverified until a code that went to it was right.',
  'phone-removed': 'The phone is removed.',
  'phone-primary': 'Codes go to this phone from now on.',
  'phone-verified': 'The phone is verified.',
  'code-sent': 'The code is on its way.',
  'session-ended': 'The session has ended.',
  'sessions-ended': 'All sessions have ended.',
  'browser-forgotten': 'This browser is asked for a code again.',
  'browsers-forgotten': 'All browsers are asked for a code again.',
  'app-created': 'The app is registered.',
  'app-changed': 'The app is changed.',
  'app-deleted': 'The app is deleted. Nobody can sign in to it any more.',
  'pause-lifted': 'The country gets texts again.',
  'keys-rotated': 'New signing keys are made.',
  'webhook-removed': 'The webhook is removed.',
  'webhook-tested': 'A test event is on its way.',
  'import-cancelled': 'The import is cancelled. What was made stays.',
  'bypass-approved': 'The code is approved, and works now.',
  'bypass-ended': 'The code no longer works.',
  'webhook-changed': 'The webhook is changed.',
} as const

export type Done = keyof typeof DONE

/** Answers a form: on to a page that says what was done. */
export function goOn(ctx: Context, url: string, done?: Done): void {
  ctx.status = 303
  ctx.redirect(done ? `${url}?done=${done}` : url)
}

/** What a page says was done; anybody can write an address, so it is one of our sentences or nothing. */
export function doneOf(ctx: Context): string | null {
  const { done } = ctx.query
  return typeof done === 'string' && isDone(done) ? DONE[done] : null
}

function isDone(word: string): word is Done {
  return Object.hasOwn(DONE, word)
}
