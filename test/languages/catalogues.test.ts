import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { IntlMessageFormat } from 'intl-messageformat'
import { describe, expect, test } from 'vitest'
import { createLanguage } from '../../src/languages/language.ts'
import { loadCatalogues } from '../../src/languages/languages.ts'
import { measureText } from '../../src/messaging/gsm7.ts'
import { codeText, fitsParts } from '../../src/messaging/texts.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const { en: english, ...others } = loadCatalogues()
if (!english) throw new Error('languages/en.json is missing')
const KEYS = Object.keys(english.messages)
const all = Object.entries({ en: english, ...others })

const TAGS = new Set(['b', 'tt', 'a'])

function textsOf(directory: string, ending: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => readFileSync(join(ROOT, directory, file), 'utf8'))
}

type Element = ReturnType<IntlMessageFormat['getAst']>[number]

/** The values and tags a message names, e.g. `{app}` and `<b>`; those in several forms of a plural once. */
function namesIn(message: string): string[] {
  const names = new Set<string>()
  const collect = (elements: readonly Element[]): void => {
    for (const element of elements) {
      if ('children' in element) {
        names.add(`<${element.value}>`)
        collect(element.children)
      } else if ('options' in element) {
        names.add(`{${element.value}}`)
        for (const option of Object.values(element.options)) collect(option.value)
      } else if (element.type !== 0 && 'value' in element) names.add(`{${element.value}}`)
    }
  }
  collect(new IntlMessageFormat(message, 'en').getAst())
  return [...names].sort()
}

/** The forms of each plural, as of `one, other`. */
function pluralsIn(message: string): string[][] {
  return new IntlMessageFormat(message, 'en')
    .getAst()
    .flatMap((element) => ('options' in element ? [Object.keys(element.options)] : []))
}

test('every message is used: its key stands in the source or in a view', () => {
  const source = [...textsOf('src', '.ts'), ...textsOf('views', '.njk')].join('\n')
  expect(KEYS.filter((key) => !source.includes(`'${key}'`))).toEqual([])
})

test('every key a view names exists', () => {
  const named = textsOf('views', '.njk').flatMap((view) =>
    [...view.matchAll(/say\('([^']+)'/g)].map(([, key = '']) => key),
  )
  expect(named.length).toBeGreaterThan(50)
  expect(named.filter((key) => !KEYS.includes(key))).toEqual([])
})

describe.each(all)('%s', (tag, { messages, textParts }) => {
  const language = createLanguage(tag, { messages, textParts })

  test('has each message once, and no other', () => {
    expect(Object.keys(messages).filter((key) => !KEYS.includes(key))).toEqual([])
    expect(KEYS.filter((key) => !messages[key]?.trim())).toEqual([])
    const file = readFileSync(join(ROOT, 'languages', `${tag}.json`), 'utf8')
    expect([...file.matchAll(/^ {4}"([^"]+)": /gm)].map(([, key]) => key)).toEqual(KEYS)
  })

  test('names the same values and elements as English, in messages that can be read', () => {
    for (const key of KEYS) {
      const names = namesIn(messages[key] ?? '')
      expect(names, key).toEqual(namesIn(english.messages[key] ?? ''))
      // Values and elements share their names.
      for (const tag of TAGS) expect(names, key).not.toContain(`{${tag}}`)
      const tags = names.filter((name) => name.startsWith('<')).map((name) => name.slice(1, -1))
      expect(
        tags.filter((name) => !TAGS.has(name)),
        key,
      ).toEqual([])
    }
  })

  test('has all its plural forms, where English tells one from many', () => {
    const forms = new Intl.PluralRules(tag).resolvedOptions().pluralCategories
    for (const key of KEYS) {
      if (!pluralsIn(english.messages[key] ?? '').some((given) => given.includes('one'))) continue
      for (const given of pluralsIn(messages[key] ?? ''))
        expect(given, key).toEqual(expect.arrayContaining(forms))
    }
  })

  test('is written with real quotes and apostrophes, but for texts, where they cost', () => {
    const plain = KEYS.filter((key) => !/^(text|notice)\./.test(key))
    expect(plain.filter((key) => /["']|\.\.\./.test(messages[key] ?? ''))).toEqual([])
  })

  test('has a direction and calls itself by a name', () => {
    expect(language.ownName).not.toBe(tag)
    expect(language.direction).toBe(/^(ar|he|fa|ur)\b/.test(tag) ? 'rtl' : 'ltr')
  })

  test('texts a code in the parts it may take, with any brand and host that fit in English', () => {
    const room = 160 - codeText({ brand: '', host: '', code: '0'.repeat(8), minutes: 10 }).length
    const brand = 'B'.repeat(20)
    const host = 'h'.repeat(room - brand.length)
    expect(fitsParts(brand, host), 'English').toBe(true)
    const texts = [1, 2, 3, 5, 10].map((minutes) => ({ minutes, aloud: false }))
    for (const each of [...texts, { minutes: 10, aloud: true }]) {
      const text = codeText({ brand, host, code: '0'.repeat(8), ...each, language })
      expect(measureText(text).parts, text).toBeLessThanOrEqual(textParts)
      expect(text.endsWith(`\n\n@${host} #00000000`), text).toBe(true)
      expect(text.split('00000000'), 'the code, in words and in the last line').toHaveLength(3)
    }
    expect(textParts).toBeLessThanOrEqual(3)
  })
})
