import { describe, expect, test } from 'vitest'
import { type Catalogue, createLanguage, ENGLISH } from '../../src/languages/language.ts'
import { createLanguages } from '../../src/languages/languages.ts'

const EMPTY: Catalogue = { textParts: 1, messages: {} }

function known(...tags: string[]) {
  return createLanguages(Object.fromEntries(tags.map((tag) => [tag, EMPTY])), tags[0] ?? 'en')
}

describe('a message as HTML', () => {
  test('escapes its values, wherever they stand', () => {
    const html = ENGLISH.html('code.caution', { host: `<b>"'&{x}` })
    expect(html).toContain('on <strong>&lt;b&gt;&quot;&#39;&amp;{x}</strong> only')
  })

  test('escapes what it says itself', () => {
    const language = createLanguage('de', { textParts: 1, messages: { 'login.title': 'A & "B"' } })
    expect(language.html('login.title')).toBe('A &amp; &quot;B&quot;')
    expect(language.say('login.title')).toBe('A & "B"')
  })

  test('lets markup through, and makes links', () => {
    const app = { html: '<bdi>Harbour</bdi>' }
    expect(ENGLISH.html('action.cancelTo', { app })).toBe(
      'Cancel and go back to <bdi>Harbour</bdi>',
    )
    const link = ENGLISH.html('home.discovery', { href: '/x?"', issuer: 'i' })
    expect(link).toBe('<a class="roomy" href="/x?&quot;">Discovery document</a> of <code>i</code>')
  })
})

describe('a message as plain text', () => {
  test('leaves elements out and values as they are', () => {
    expect(ENGLISH.say('code.triesLeft', { tries: 1 })).toBe('You have 1 try left.')
    expect(ENGLISH.say('text.code', { brand: '<b>{x}', code: '000001', minutes: 2 })).toMatch(
      /^<b>\{x\}: 000001 is .* in 2 minutes\.$/,
    )
  })

  test('throws when a value is missing', () => {
    expect(() => ENGLISH.say('code.caution')).toThrow(/host/)
    expect(() => ENGLISH.html('code.caution')).toThrow(/host/)
  })

  test('is English where a catalogue lacks it, with digits as on a keypad', () => {
    const arabic = createLanguage('ar', EMPTY)
    expect(arabic.say('login.title')).toBe('Sign in')
    expect(arabic.say('ended.retryIn', { minutes: 65 })).toContain('65')
    expect(arabic.direction).toBe('rtl')
  })
})

describe('of the languages there are', () => {
  test.each([
    ['de', 'de'],
    ['DE', 'de'],
    ['de-AT', 'de'],
    ['pt-BR', 'pt'],
    ['zh-Hans-CN', 'zh'],
    ['zh-CN', 'zh'],
    ['xx de', 'de'],
    ['xx', undefined],
    ['', undefined],
    ['*', undefined],
    ['../../etc/passwd', undefined],
    ['__proto__', undefined],
    ['constructor', undefined],
    ['de.json', undefined],
    ['de\0', undefined],
    ['xx-'.repeat(2000), undefined],
  ])('%j asks for %j', (asked, tag) => {
    expect(known('en', 'de', 'pt', 'zh').match(asked.split(' '))?.tag).toBe(tag)
  })

  test('the one in the script that was asked for is found', () => {
    const both = known('en', 'zh-Hans', 'zh-Hant')
    expect(both.match(['zh-TW'])?.tag).toBe('zh-Hant')
    expect(both.match(['zh'])?.tag).toBe('zh-Hans')
    expect(both.match(['zh-Hant'])?.tag).toBe('zh-Hant')
  })

  test('the default must be one', () => {
    expect(() => createLanguages({ en: EMPTY }, 'da')).toThrow('languages/da.json')
  })
})
