import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLanguages, loadCatalogues } from '../../src/languages/languages.ts'
import { createLanguageChoice } from '../../src/web/language.ts'
import type { PageData } from '../../src/web/page-data.ts'
import { createPages } from '../../src/web/pages.ts'
import { STOPS } from '../../src/web/stops.ts'
import { createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { bracketed, untranslated } from '../support/untranslated.ts'

const { en, ...others } = loadCatalogues()
if (!en) throw new Error('languages/en.json is missing')
/** In the place of English, so that those who look for its words find them. */
const languages = createLanguages({ ...others, en: bracketed(en) }, 'en')

test('what would be untranslated is found', () => {
  const head = '<title>⟦Error: ⟦a⟧⟧ – Sallyport</title>'
  expect(untranslated(`${head}<body><p>⟦Say <b>it</b> now⟧ 5 <code>x</code></p></body>`)).toEqual(
    [],
  )
  expect(untranslated(`${head}<body>⟦a⟧ and <i title="b">c</i></body>`)).toEqual([
    'and',
    'title: b',
    'c',
  ])
  expect(untranslated('<title>Sallyport</title>')).toEqual(['title: Sallyport'])
})

/** Pages that people walk to are looked at beside their accessibility, in test/browser. */
describe('nothing is said but what the catalogues say', () => {
  let house: House
  beforeAll(async () => {
    house = await startHouse({ languages })
    await house.addClient('app')
  })
  afterAll(() => house.stop())

  test('on pages that refuse', async () => {
    const flow = createFlow(house)
    await flow.begin()
    const answers = await Promise.all([
      flow.request('/', { method: 'PROPFIND' }),
      flow.request('/interaction/x'),
      flow.request('/auth/x'),
      flow.request('/auth?client_id=app'),
      flow.request(`${flow.path}/code`, { method: 'POST', body: '{}' }),
      flow.step('code', { code: '1'.repeat(20_000) }),
      flow.step('login', { form_token: 'x' }),
      flow.step('login', {}, { origin: 'https://evil.example' }),
      flow.step('login', {}, { 'content-encoding': 'gzip' }),
      flow.step('login'),
    ])
    for (const { status, html } of answers) {
      expect(status).toBeGreaterThanOrEqual(400)
      expect(html).toContain('⟦')
      expect(untranslated(html), html).toEqual([])
    }
  })
})

describe('nor on pages that are hard to come to', () => {
  const issuer = 'https://login.example.com'
  const brand = { name: 'Sallyport', color: '#1f6f5c', logo: null }
  const pages = createPages({
    brand,
    simulatedPhone: true,
    languages: createLanguageChoice({ languages, issuer }),
  })
  const { say } = languages.byDefault
  const form = { app: null, formToken: 'x', cancelUrl: '/', restartUrl: '/' }
  const code: PageData['code'] = {
    ...form,
    actionUrl: '/',
    resendUrl: '/',
    phone: '••• ••• 21',
    length: 6,
    minutesLeft: 5,
    triesLeft: 1,
    error: null,
    delivery: 'accepted',
    channel: 'sms',
    problem: null,
    rerouted: false,
    live: true,
    callUrl: '/',
    errorCode: null,
    resendInSeconds: 0,
    sendsLeft: 1,
    host: 'login.example.com',
    phoneUrl: '/',
    otherPhones: [],
    appUrl: '/',
    backupUrl: '/',
    otherNumberUrl: null,
    rememberDays: 30,
  }

  const unchanged = (data: PageData['code']) =>
    expect(untranslated(pages.render(languages.byDefault, 'code', data))).toEqual([])

  test.each([
    'sending',
    'accepted',
    'delivered',
    'undelivered',
    'overdue',
    'failed',
    'unconfirmed',
  ] as const)('the code page, %s', (delivery) => {
    for (const sendsLeft of [0, 1])
      for (const minutesLeft of [0, 1, 5]) unchanged({ ...code, delivery, sendsLeft, minutesLeft })
    unchanged({ ...code, delivery, channel: 'voice' })
    unchanged({ ...code, delivery, rerouted: true })
  })

  test.each(['opted-out', 'landline', 'barred', 'sim-swapped'] as const)(
    'the code page of a number that is %s',
    (problem) => {
      unchanged({ ...code, delivery: 'failed', problem })
      unchanged({ ...code, delivery: 'undelivered', problem, callUrl: null })
    },
  )

  test.each(Object.entries(STOPS))('what ended: %s', (_, { title, message }) => {
    const html = pages.render(languages.byDefault, 'ended', {
      ...form,
      restartText: say('action.restart'),
      title: say(title),
      message: say(message),
      retryInMinutes: 1,
      codeUrl: '/',
      backupUrl: '/',
      phoneUrl: '/',
      otherPhones: [{ id: 'p', masked: '••• ••• 21', label: 'Work' }],
      callUrl: '/',
      call: { id: 'q', masked: '••• ••• 22', label: null },
      code: 'barred',
    })
    expect(untranslated(html)).toEqual([])
  })

  test('consent for an app without a name', () => {
    const html = pages.render(languages.byDefault, 'consent', {
      ...form,
      accountName: 'alex',
      actionUrl: '/',
      items: [{ title: 'email_verified', detail: say('consent.claimDetail'), named: true }],
      appHost: 'app.example',
    })
    expect(untranslated(html)).toEqual([])
  })
})
