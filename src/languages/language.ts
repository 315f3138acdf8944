import { IntlMessageFormat } from 'intl-messageformat'
import en from '../../languages/en.json' with { type: 'json' }

export type MessageKey = keyof typeof en.messages

/** A file of `languages/`. */
export interface Catalogue {
  /** how many texts the carrier may send and bill for one code: 1 where GSM-7 has the letters */
  textParts: number
  messages: Readonly<Record<string, string>>
}

/** HTML that may stand in a page as it is. */
export interface Markup {
  readonly html: string
}

export type Value = string | number
export type Values = Readonly<Record<string, Value>>

export interface Language {
  /** BCP 47, the name of its file */
  tag: string
  direction: 'ltr' | 'rtl'
  /** what its speakers call it */
  ownName: string
  textParts: number
  /**
   * A message as plain text; its tags are left out.
   * @throws Error when a value it names isn't given
   */
  say(key: MessageKey, values?: Values): string
  /** A message as HTML: everything in it is escaped but `Markup`, and its tags become elements. */
  html(key: MessageKey, values?: Readonly<Record<string, Value | Markup>>): string
}

type Part = string | Markup

export function createLanguage(tag: string, { textParts, messages }: Catalogue): Language {
  const compiled = new Map<MessageKey, IntlMessageFormat>()

  function messageOf(key: MessageKey): IntlMessageFormat {
    const known = compiled.get(key)
    if (known) return known
    // Digits as on the keys with which codes are typed. English stands in for what a catalogue lacks.
    const locale = `${tag}-u-nu-latn`
    const message = new IntlMessageFormat(messages[key] ?? en.messages[key], locale)
    compiled.set(key, message)
    return message
  }

  function html(key: MessageKey, values: Readonly<Record<string, Value | Markup>> = {}): string {
    const elements = {
      b: (inner: Part[]) => element('strong', inner),
      tt: (inner: Part[]) => element('code', inner),
      a: (inner: Part[]) => element('a', inner, ` class="roomy" href="${escaped(values.href)}"`),
    }
    const parts = messageOf(key).formatToParts<Markup>({ ...values, ...elements })
    return parts.map(({ value }) => escaped(value)).join('')
  }

  return {
    tag,
    direction: directionOf(tag),
    ownName: ownNameOf(tag),
    textParts,
    html,

    say(key, values = {}) {
      const inner = (parts: string[]) => parts.join('')
      const said = messageOf(key).format<string>({ ...values, b: inner, tt: inner, a: inner })
      return Array.isArray(said) ? said.join('') : said
    },
  }
}

/** What is said where no language was chosen: in logs, on the command line and to programs. */
export const ENGLISH = createLanguage('en', en)

export function isMessageKey(key: string): key is MessageKey {
  return Object.hasOwn(en.messages, key)
}

/** With a capital, as it stands alone in a list: `Dansk`. */
function ownNameOf(tag: string): string {
  const name = new Intl.DisplayNames([tag], { type: 'language' }).of(tag) ?? tag
  const [first = '', ...rest] = name
  return first.toLocaleUpperCase(tag) + rest.join('')
}

function directionOf(tag: string): Language['direction'] {
  return new Intl.Locale(tag).getTextInfo().direction === 'rtl' ? 'rtl' : 'ltr'
}

function element(name: string, inner: readonly Part[], attributes = ''): Markup {
  return { html: `<${name}${attributes}>${inner.map(escaped).join('')}</${name}>` }
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(part: Value | Markup | undefined): string {
  if (typeof part === 'object') return part.html
  return String(part ?? '').replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign)
}
