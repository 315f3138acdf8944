import { Refusal } from '../errors.ts'
import { ENGLISH, type MessageKey, type Values } from '../languages/language.ts'

/** A refusal whose sentence is in the catalogues: pages show it in the person's language, programs get English. */
export class PageRefusal extends Refusal {
  readonly key: MessageKey
  readonly values: Values

  constructor(code: string, status: number, key: MessageKey, values: Values = {}) {
    super(code, status, ENGLISH.say(key, values))
    this.name = 'PageRefusal'
    this.key = key
    this.values = values
  }
}

/** Refusals of other rooms that a page can come to show, by their code. */
const ELSEWHERE: Readonly<Record<string, MessageKey>> = {
  authenticator_exists: 'refusal.appExists',
  held_factor: 'refusal.heldFactor',
  label: 'refusal.phoneName',
  last_factor: 'refusal.lastFactor',
  phone_exists: 'refusal.phoneExists',
  session_over: 'refusal.changedMeanwhile',
  temporarily_unavailable: 'refusal.unavailable',
  too_many_phones: 'refusal.tooManyPhones',
}

/** The words of a refusal; undefined for one that no page is meant to show. */
export function wordsOf(refusal: Refusal): { key: MessageKey; values: Values } | undefined {
  if (refusal instanceof PageRefusal) return refusal
  const key = ELSEWHERE[refusal.code]
  return key && { key, values: {} }
}

export function notFound(): PageRefusal {
  return new PageRefusal('not_found', 404, 'refusal.notFound')
}
