import { HTMLElement, NodeType, parse } from 'node-html-parser'
import type { Catalogue } from '../../src/languages/language.ts'

const OPEN = '⟦'
const CLOSE = '⟧'
const ALL_OF_A_MESSAGE = new RegExp(`^${OPEN}.*${CLOSE}$`, 's')
/** The brand stands at the end. */
const TITLE = new RegExp(`^${OPEN}.*${CLOSE} – Sallyport$`)

/** Attributes that people read or hear. */
const READ = [
  'aria-label',
  'title',
  'alt',
  'placeholder',
  'data-waiting',
  'data-now',
  'data-counting',
]

/** Not of a language, said to be of another, or what people and their things are called. */
const SKIPPED =
  'code, time, bdi, [autocomplete=country] [value], [lang]:not(html), .brand-name, .brand-foot'

/** A catalogue that shows what came through it: every message in double brackets. */
export function bracketed({ textParts, messages }: Catalogue): Catalogue {
  return {
    textParts,
    messages: Object.fromEntries(
      Object.entries(messages).map(([key, message]) => [
        key,
        key.startsWith('text.') ? message : OPEN + message + CLOSE,
      ]),
    ),
  }
}

/** What a page of the bracketed language says outside of brackets: text that isn't in the catalogues. */
export function untranslated(html: string): string[] {
  const page = parse(html)
  const found: string[] = []
  let depth = 0

  function read(text: string): void {
    let outside = ''
    for (const sign of text) {
      if (sign === OPEN) depth += 1
      else if (sign === CLOSE) depth -= 1
      else if (depth === 0) outside += sign
    }
    if (/\p{L}/u.test(outside)) found.push(outside.trim())
  }

  const skipped = new Set(page.querySelectorAll(SKIPPED))
  // In the order of the page, for a message may go in and out of elements.
  function visit(element: HTMLElement): void {
    if (skipped.has(element)) return
    for (const name of READ) {
      const value = element.getAttribute(name)
      if (value && !ALL_OF_A_MESSAGE.test(value)) found.push(`${name}: ${value}`)
    }
    for (const child of element.childNodes) {
      if (child instanceof HTMLElement) visit(child)
      else if (child.nodeType === NodeType.TEXT_NODE) read(child.text)
    }
  }
  const body = page.querySelector('body')
  if (body) visit(body)
  const title = page.querySelector('title')?.text ?? ''
  if (!TITLE.test(title)) found.push(`title: ${title}`)
  return found
}
