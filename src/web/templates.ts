import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import nunjucks from 'nunjucks'
import { isMessageKey, type Language, type Markup, type Value } from '../languages/language.ts'
import type { LanguageChoice } from './language.ts'

export const VIEWS = join(import.meta.dirname, '../../views')
const ENDING = '.njk'

const { SafeString } = nunjucks.runtime

/**
 * Renders the files of `views/`. Each language has its own environment, so that macros too can say things.
 * A template is compiled when it is first asked for in a language: most are for admins, and a start needs none.
 * @param globals what every page knows
 */
export function createTemplates(languages: LanguageChoice, globals: object) {
  const sources = new Map(
    readdirSync(VIEWS, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith(ENDING))
      .map((file) => [file, readFileSync(join(VIEWS, file), 'utf8')]),
  )
  // Environments can't share a loader: it keeps what was compiled for one of them.
  const createLoader = () => ({
    getSource(name: string) {
      const src = sources.get(name)
      if (src === undefined) throw new Error(`no template ${name}`)
      return { src, path: name, noCache: false }
    },
  })

  function createEnvironment(language: Language): nunjucks.Environment {
    const environment = new nunjucks.Environment(createLoader(), {
      autoescape: true,
      throwOnUndefined: true,
      trimBlocks: true,
      lstripBlocks: true,
    })
    for (const [name, value] of Object.entries(globals)) environment.addGlobal(name, value)
    environment.addGlobal('languages', languages.all)
    environment.addGlobal('language', language)
    environment.addGlobal('say', (key: string, values: Record<string, unknown> = {}) => {
      if (!isMessageKey(key)) throw new Error(`no message ${key}`)
      return new SafeString(language.html(key, toValues(values)))
    })
    environment.addFilter('lastDigits', (number: string) => /\d+$/.exec(number)?.[0] ?? '')
    environment.addFilter('timeOfDay', timeOfDay)
    environment.addFilter('inUtc', (time: Date) => inUtc(time, language))
    environment.addFilter('aroundCodes', aroundCodes)
    return environment
  }

  const environments = new Map<string, nunjucks.Environment>()
  function environmentOf(language: Language): nunjucks.Environment {
    const known = environments.get(language.tag)
    if (known) return known
    const environment = createEnvironment(language)
    environments.set(language.tag, environment)
    return environment
  }

  return (language: Language, name: string, data: object): string =>
    environmentOf(language).render(name + ENDING, data)
}

/** What a template gives a message: strings and numbers to escape, and what macros made, which is safe. */
function toValues(given: Record<string, unknown>): Record<string, Value | Markup> {
  const values: Record<string, Value | Markup> = {}
  for (const [name, value] of Object.entries(given)) {
    if (value instanceof SafeString) values[name] = { html: value.toString() }
    else if (typeof value === 'number') values[name] = value
    else if (typeof value === 'string') values[name] = value
  }
  return values
}

/** `21 Nov 2026, 14:03 UTC`, for whoever has no script to show it in their own zone. */
function inUtc(time: Date, { tag }: Language): string {
  const format = { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' } as const
  return `${new Intl.DateTimeFormat(`${tag}-u-nu-latn`, format).format(time)} UTC`
}

/** `14:03:22 UTC` of an ISO time; anything else as it came. */
function timeOfDay(time: string): string {
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time) ? `${time.slice(11, 19)} UTC` : time
}

/** Splits a message so that every second part is a code, for a template to mark and a click to select. */
function aroundCodes(text: string): string[] {
  return text.split(/(?<![\d+])(\d{6,8})(?!\d)/)
}
