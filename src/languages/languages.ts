/**
 * The words of pages and texts. A file of `languages/` is a language; adding one is adding a file
 * (docs/languages.md).
 *
 * For whoever writes a page:
 *
 * 1. Put the words into `languages/en.json` (and every other language) under a key like `phones.remove`,
 *    in ICU MessageFormat: `{name}`, `{count, plural, one {# try} other {# tries}}`, and the elements
 *    `<b>…</b>`, `<tt>…</tt>` for addresses and codes, and `<a>…</a>`, a link to the value `href`. A sentence
 *    is one message, never put together from several, for other languages order their words differently.
 * 2. In a template: `{{ say('phones.remove', name=parts.bdi(name)) }}`. It is safe HTML, in attributes too:
 *    values are escaped, but for what a macro returned. Names people chose belong in `parts.bdi`.
 * 3. In TypeScript: `pages.say(ctx, 'phones.remove', { name })`, a plain string for a template to escape.
 *    Misspelt keys are type errors. A table from codes to words is a `Record<Code, MessageKey>`.
 *    Keys are written out, never put together: a test looks for each in the source.
 * 4. `pages.show(ctx, 200, 'phones', { … })` answers with the page, in the person's language.
 * 5. A refusal that people may see is `new PageRefusal(code, status, key, values)` of `web/refusals`.
 *    For one that comes from a domain room, add its code to the table there.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { type Catalogue, createLanguage, type Language } from './language.ts'

export type Languages = ReturnType<typeof createLanguages>

const DIRECTORY = join(import.meta.dirname, '../../languages')
const ENDING = '.json'

const catalogue = z.object({
  textParts: z.int().min(1),
  messages: z.record(z.string(), z.string()),
})

/** The languages there are files for, like `de`. */
export function languageTags(directory = DIRECTORY): string[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith(ENDING))
    .map((file) => file.slice(0, -ENDING.length))
    .sort()
}

/** Reads every file of `languages/`, once. */
export function loadCatalogues(directory = DIRECTORY): Record<string, Catalogue> {
  const read = (tag: string) =>
    catalogue.parse(JSON.parse(readFileSync(join(directory, tag + ENDING), 'utf8')))
  return Object.fromEntries(languageTags(directory).map((tag) => [tag, read(tag)]))
}

/** @param defaultTag the language of those who ask for none that we have */
export function createLanguages(
  catalogues: Readonly<Record<string, Catalogue>>,
  defaultTag: string,
) {
  const all = Object.entries(catalogues)
    .map(([tag, content]) => createLanguage(tag, content))
    .sort((one, other) => one.ownName.localeCompare(other.ownName))
  const find = (tag: string) => all.find((language) => language.tag === tag)
  const byDefault = find(defaultTag)
  if (!byDefault) throw new RangeError(`there is no file languages/${defaultTag}${ENDING}`)
  const meant = all.map((language) => ({ language, locale: likely(language.tag) }))

  const asked = new Map<string, Language | undefined>()

  /** Browsers ask for the same few again and again. */
  function closest(tag: string): Language | undefined {
    if (tag.length > LONGEST_KEPT) return lookFor(tag)
    const known = asked.get(tag)
    if (known || asked.has(tag)) return known
    if (asked.size === ASKED_AT_MOST) asked.clear()
    const found = lookFor(tag)
    asked.set(tag, found)
    return found
  }

  function lookFor(asked: string): Language | undefined {
    const wanted = likely(asked)
    if (!wanted) return undefined
    const same = meant.filter(({ locale }) => locale?.language === wanted.language)
    const best = same.find(({ locale }) => locale?.script === wanted.script) ?? same[0]
    return best?.language
  }

  return {
    /** by their own names */
    all,
    byDefault,
    /** The language of exactly this tag. */
    find,

    /**
     * The first that we have of what someone asks for, best first. `de-AT` finds `de`, and of several
     * scripts of a language the one that is asked for.
     */
    match(asked: readonly string[]): Language | undefined {
      for (const tag of asked) {
        const found = find(tag) ?? closest(tag)
        if (found) return found
      }
      return undefined
    },
  }
}

/** Anybody may ask for anything. */
const ASKED_AT_MOST = 1000
/** A longer piece of a header would keep all of the header. */
const LONGEST_KEPT = 12

/** A tag with what usually goes without saying; undefined for one that is none, which anyone may send. */
function likely(tag: string): Intl.Locale | undefined {
  try {
    return new Intl.Locale(tag).maximize()
  } catch {
    return undefined
  }
}
