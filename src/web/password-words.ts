import type { Context } from 'koa'
import type { PasswordFault } from '../accounts/password-quality.ts'
import type { MessageKey } from '../languages/language.ts'
import type { Pages } from './pages.ts'

/** What a page says of a password that may not be chosen. */
export const FAULT_WORDS: Record<PasswordFault, MessageKey> = {
  'too-short': 'password.tooShort',
  'too-long': 'password.tooLong',
  common: 'password.common',
  'about-you': 'password.aboutYou',
  guessable: 'password.guessable',
}

const TOLD = {
  askOthers: { title: 'password.askOthersTitle', message: 'password.askOthers' },
  asked: { title: 'password.askedTitle', message: 'password.asked' },
  askedTooOften: { title: 'password.askedTooOftenTitle', message: 'password.askedTooOften' },
  changed: { title: 'password.changedTitle', message: 'password.changed' },
  gone: { title: 'password.goneTitle', message: 'password.gone' },
  welcome: { title: 'password.welcomeTitle', message: 'password.welcome' },
} as const satisfies Record<string, { title: MessageKey; message: MessageKey }>

interface More {
  retryInMinutes?: number
  /** where it goes on */
  next?: { url: string; text: MessageKey }
}

/** Answers with a page that tells what has become of it. */
export function tell(
  pages: Pages,
  ctx: Context,
  status: number,
  what: keyof typeof TOLD,
  { retryInMinutes, next }: More = {},
): void {
  const { title, message } = TOLD[what]
  pages.show(ctx, status, 'password-told', {
    title: pages.say(ctx, title),
    message: pages.say(ctx, message),
    retryInMinutes: retryInMinutes ?? null,
    next: next ? { url: next.url, text: pages.say(ctx, next.text) } : null,
  })
}
