import type { Language, MessageKey } from '../languages/language.ts'

/** What an owner is told of: key of what happened, as a sentence without its end. */
const WHAT = {
  'password.changed': 'notice.password.changed',
  'password.reset': 'notice.password.reset',
  'email.changed': 'notice.email.changed',
  'phone.added': 'notice.phone.added',
  'phone.removed': 'notice.phone.removed',
  'phone.made-primary': 'notice.phone.madePrimary',
  'authenticator.added': 'notice.authenticator.added',
  'authenticator.removed': 'notice.authenticator.removed',
  'backup-codes.issued': 'notice.backupCodes.issued',
  'backup-code.used': 'notice.backupCode.used',
  'bypass-code.issued': 'notice.bypassCode.issued',
  'bypass-code.used': 'notice.bypassCode.used',
  'factors.reset': 'notice.factors.reset',
  'trusted-browser.copied': 'notice.trustedBrowser.copied',
  'codes.locked': 'notice.codes.locked',
  'someone-has-password': 'notice.someoneHasPassword',
} as const satisfies Record<string, MessageKey>

const LINKS = {
  'mail.password-reset': { subject: 'mail.passwordReset.subject', body: 'mail.passwordReset.body' },
  'mail.invitation': { subject: 'mail.invitation.subject', body: 'mail.invitation.body' },
} as const satisfies Record<string, { subject: MessageKey; body: MessageKey }>

export type NoticeKind = keyof typeof WHAT
/** A mail that carries a one-time link. */
export type LinkKind = keyof typeof LINKS

export const NOTICE_KINDS = Object.keys(WHAT).filter(isNoticeKind)

/** What the words of a notice take. */
export interface NoticeDetail {
  /** where it was done: shown in mails only */
  address?: string | undefined
  /** as in "Firefox on Windows" */
  browser?: string | undefined
  /** backup codes that are left */
  left?: number | undefined
}

export interface LinkDetail {
  link: string
  lifeSeconds: number
}

export interface NoticeContext {
  brand: string
  issuer: string
  /** `2026-11-21 13:39 UTC` */
  when: string
  language: Pick<Language, 'say'>
}

export interface MailWords {
  subject: string
  text: string
}

export function isNoticeKind(kind: string): kind is NoticeKind {
  return Object.hasOwn(WHAT, kind)
}

export function isLinkKind(kind: string): kind is LinkKind {
  return Object.hasOwn(LINKS, kind)
}

/**
 * A notice as a text: what happened, when, and whom to turn to. No link, for people who learn to tap on
 * links in our texts would tap on anyone's.
 */
export function noticeText(kind: NoticeKind, detail: NoticeDetail, context: NoticeContext): string {
  const { brand, when, language } = context
  return language.say('notice.text', { brand, what: whatHappened(kind, detail, language), when })
}

/** A notice as a mail, which also says where it was done and what to do about it. */
export function noticeMail(
  kind: NoticeKind,
  { address, browser, ...detail }: NoticeDetail,
  { brand, issuer, when, language }: NoticeContext,
): MailWords {
  const subject = whatHappened(kind, detail, language)
  const place = [browser, address].filter(Boolean).join(', ')
  const paragraphs = [
    language.say('notice.mail.opening', { what: subject, when }),
    place && language.say('notice.mail.place', { place }),
    language.say('notice.mail.act', { account: `${issuer}/account` }),
    language.say('notice.mail.ending', { brand }),
  ]
  return { subject, text: letter(paragraphs) }
}

export function linkMail(
  kind: LinkKind,
  { link, lifeSeconds }: LinkDetail,
  { brand, language }: Pick<NoticeContext, 'brand' | 'language'>,
): MailWords {
  const { subject, body } = LINKS[kind]
  const values = {
    brand,
    link,
    minutes: Math.ceil(lifeSeconds / 60),
    days: Math.ceil(lifeSeconds / (24 * 3600)),
  }
  return { subject: language.say(subject, values), text: letter([language.say(body, values)]) }
}

function whatHappened(
  kind: NoticeKind,
  { left }: NoticeDetail,
  language: Pick<Language, 'say'>,
): string {
  const what = language.say(WHAT[kind])
  return left === undefined ? what : language.say('notice.withCodesLeft', { what, left })
}

function letter(paragraphs: readonly string[]): string {
  return `${paragraphs.filter(Boolean).join('\n\n')}\n`
}
