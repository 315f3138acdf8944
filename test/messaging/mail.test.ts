import { once } from 'node:events'
import type { Server } from 'node:http'
import Router from '@koa/router'
import Koa from 'koa'
import { parse } from 'node-html-parser'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/config/config.ts'
import { createLanguages, loadCatalogues } from '../../src/languages/languages.ts'
import { createLog } from '../../src/log.ts'
import { createOutbox } from '../../src/messaging/gateways/outbox.ts'
import { createMailer, type MailerSettings } from '../../src/messaging/mailer.ts'
import { createLanguageChoice } from '../../src/web/language.ts'
import { addOutbox } from '../../src/web/outbox.ts'
import { createPages } from '../../src/web/pages.ts'
import { type FakeSmtp, startFakeSmtp, startSilentServer } from '../support/fake-smtp.ts'
import { freePort } from '../support/ports.ts'

const MAIL = {
  id: 'Ab12',
  to: 'alex@example.org',
  subject: 'Grüße von Zoë',
  text: 'Hallo,\n\nhttps://login.example.com/link/AbCd_1234\n\n日本語 = fine.\n.\nEnd of it\n',
}
const FROM = { name: 'Exämple, Ltd', address: 'login@example.com' }

let smtp: FakeSmtp
beforeAll(async () => {
  smtp = await startFakeSmtp()
})
beforeEach(() => smtp.reset())
afterAll(() => smtp.close())

const opened: Array<ReturnType<typeof createMailer>> = []
afterEach(() => {
  for (const mailer of opened.splice(0)) mailer.close()
})

function mailerTo(smtpUrl: string | undefined, more: Partial<MailerSettings> = {}) {
  const lines: string[] = []
  const outbox = createOutbox()
  const mailer = createMailer({
    settings: { smtpUrl, from: FROM, tls: 'never', timeoutMs: 5000, ...more },
    outbox: smtpUrl ? null : outbox,
    log: createLog('trace', false, { write: (line) => void lines.push(line) }),
  })
  opened.push(mailer)
  return { mailer, outbox, lines }
}

describe('a mail', () => {
  test('arrives exactly as it was written, from whom it says, to one recipient', async () => {
    const { mailer, lines } = mailerTo(smtp.url)
    expect(await mailer.send(MAIL)).toBe('accepted')
    const [mail] = smtp.mails
    expect(smtp.faults).toEqual([])
    expect(mail).toMatchObject({ from: FROM.address, to: [MAIL.to], text: MAIL.text })
    expect(mail?.headers.get('subject')).toBe(MAIL.subject)
    expect(mail?.headers.get('from')).toMatch(/Exämple, Ltd.* <login@example\.com>$/)
    expect(mail?.headers.get('to')).toBe(MAIL.to)
    expect(mail?.headers.get('auto-submitted')).toBe('auto-generated')
    expect(mail?.headers.get('message-id')).toBe('<Ab12@example.com>')
    expect(lines.join('')).toContain('mail accepted')
    expect(lines.join('')).not.toMatch(/alex|Zo|AbCd/)
  })

  test('can’t be given a header or a recipient by what stands in it', async () => {
    const { mailer } = mailerTo(smtp.url)
    const subject = 'Hello\r\nBcc: eve@example.org\r\n\r\nOther text'
    expect(await mailer.send({ ...MAIL, subject })).toBe('accepted')
    expect(smtp.faults).toEqual([])
    expect(smtp.mails[0]?.to).toEqual([MAIL.to])
    expect(smtp.mails[0]?.headers.get('subject')).toBe('Hello Bcc: eve@example.org Other text')
    expect(smtp.mails[0]?.text).toBe(MAIL.text)
  })

  test.each([
    'alex@example.org, eve@example.org',
    'alex@example.org\r\nBcc: eve@example.org',
    'Eve <eve@example.org>',
    'friends: eve@example.org;',
    '"eve@evil.example "@example.org',
    'alex',
    '@example.org',
    '',
  ])('is refused when %j is to be its reader', async (to) => {
    expect(await mailerTo(smtp.url).mailer.send({ ...MAIL, to })).toBe('refused')
    expect(smtp.tries).toBe(0)
  })

  test('goes to the outbox where there is no server, with its subject', async () => {
    const { mailer, outbox } = mailerTo(undefined)
    expect(mailer.canMail).toBe(true)
    expect(await mailer.send(MAIL)).toBe('accepted')
    const { to, subject, text } = MAIL
    const sentAt = expect.stringMatching(/^\d{4}-.*Z$/)
    expect(outbox.list()).toEqual([{ to, subject, text, channel: 'mail', sentAt }])
  })

  test('goes nowhere without a server in production', async () => {
    const log = createLog('silent', false)
    const settings = { smtpUrl: undefined, from: FROM, tls: 'never', timeoutMs: 1000 } as const
    const mailer = createMailer({ settings, outbox: null, log })
    expect(mailer.canMail).toBe(false)
    expect(await mailer.send(MAIL)).toBe('failed')
  })
})

test('what mails can’t be set up with fails each of them, and ends nothing else', async () => {
  const { mailer } = mailerTo('nowhere')
  // An error that nothing catches would end the process about now.
  await new Promise((passed) => setImmediate(passed))
  expect(await mailer.send(MAIL)).toBe('failed')
  expect(await mailer.check()).toEqual({ ok: false, detail: expect.any(String) })
  await mailer.close()
})

describe('a server', () => {
  test('that knows no such box is not asked again; one that defers is', async () => {
    const { mailer, lines } = mailerTo(smtp.url)
    smtp.mode = 'refuse'
    expect(await mailer.send(MAIL)).toBe('refused')
    smtp.mode = 'defer'
    expect(await mailer.send(MAIL)).toBe('failed')
    expect(lines.join('')).toMatch(/"status":550.*"status":450/s)
    expect(lines.join('')).not.toContain('alex')
    smtp.mode = 'ok'
    expect(await mailer.send(MAIL)).toBe('accepted')
  })

  test('that is away, silent, or falls silent holds nobody up', async () => {
    const silent = await startSilentServer()
    const away = mailerTo(`smtp://127.0.0.1:${await freePort()}`)
    const mute = mailerTo(`smtp://127.0.0.1:${silent.port}`, { timeoutMs: 300 })
    smtp.mode = 'hang'
    const hanging = mailerTo(smtp.url, { timeoutMs: 300 })
    try {
      const sent = [away, mute, hanging].map(({ mailer }) => mailer.send(MAIL))
      expect(await Promise.all(sent)).toEqual(['failed', 'failed', 'failed'])
      expect(away.lines.join('')).toContain('ECONNREFUSED')
      expect(mute.lines.join('')).toContain('ETIMEDOUT')
    } finally {
      await silent.close()
    }
  })

  test('that refuses our log-in is an error for the operator, and no fault of the mail', async () => {
    const { mailer, lines } = mailerTo(smtp.url.replace(/:[^:@]*@/, ':wrong@'))
    expect(await mailer.send(MAIL)).toBe('failed')
    expect(lines.join('')).toMatch(/"level":"error".*"fault":"EAUTH","status":535/)
    expect(await mailer.check()).toEqual({
      ok: false,
      detail: expect.stringContaining('EAUTH 535'),
    })
  })

  test('with a certificate nobody vouches for gets no mail, nor does one without TLS that needs it', async () => {
    const other = await startFakeSmtp({ starttls: true })
    try {
      for (const tls of ['where-offered', 'always'] as const)
        expect(await mailerTo(other.url, { tls }).mailer.send(MAIL)).toBe('failed')
      const smtps = other.url.replace('smtp:', 'smtps:')
      expect(await mailerTo(smtps, { timeoutMs: 1000 }).mailer.send(MAIL)).toBe('failed')
      expect(await mailerTo(smtp.url, { tls: 'always' }).mailer.send(MAIL)).toBe('failed')
      expect([...other.mails, ...smtp.mails]).toEqual([])
      expect(await mailerTo(smtp.url, { tls: 'where-offered' }).mailer.send(MAIL)).toBe('accepted')
    } finally {
      await other.close()
    }
  })

  test('can be checked without sending anything', async () => {
    expect(await mailerTo(smtp.url).mailer.check()).toMatchObject({ ok: true })
    expect(await mailerTo(`smtp://127.0.0.1:${await freePort()}`).mailer.check()).toEqual({
      ok: false,
      detail: expect.stringContaining('ECONNREFUSED'),
    })
    expect(smtp.tries).toBe(0)
  })
})

describe('the configuration', () => {
  const faults = (env: Record<string, string>) => {
    try {
      readConfig(env)
      return []
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return error.faults.map(({ variable }) => variable)
    }
  }

  test.each([
    [{ SMTP_URL: 'smtps://mail.example.com' }, ['MAIL_FROM']],
    [{ SMTP_URL: 'https://mail.example.com', MAIL_FROM: 'nobody' }, ['SMTP_URL', 'MAIL_FROM']],
    [{ SMTP_URL: 'smtp://', MAIL_FROM: 'a@example.com' }, ['SMTP_URL']],
    [
      { SMTP_URL: 'smtp://m.example/?tls.rejectUnauthorized=false', MAIL_FROM: 'a@b.example' },
      ['SMTP_URL'],
    ],
    [{ SMTP_URL: 'smtp://u:100%@m.example', MAIL_FROM: 'a@b.example' }, ['SMTP_URL']],
    [{ MAIL_FROM: 'A <a@b.example>, C <c@d.example>' }, ['MAIL_FROM']],
    [{ MAIL_FROM: 'A\nBcc: c@d.example <a@b.example>' }, ['MAIL_FROM']],
  ])('refuses %j', (env, variables) => {
    expect(faults(env)).toEqual(variables)
  })

  test('keeps the server’s address from what may be printed', () => {
    const { config, secrets } = readConfig({
      SMTP_URL: 'smtp://user:hush@mail.example.com:2525',
      MAIL_FROM: 'Example Ltd <login@example.com>',
    })
    const from = { name: 'Example Ltd', address: 'login@example.com' }
    expect(config.mail).toEqual({ by: 'smtp', from, tls: 'always' })
    expect(secrets.smtpUrl).toContain('hush')
    expect(JSON.stringify(config)).not.toContain('hush')
  })

  test.each([
    ['smtp://localhost', 'never'],
    ['smtp://[::1]:2525', 'never'],
    ['smtp://mailpit:1025', 'where-offered'],
    ['smtp://10.0.0.5', 'where-offered'],
    ['smtp://mail.example.com', 'always'],
  ])('wants TLS of %s: %s', (SMTP_URL, tls) => {
    expect(readConfig({ SMTP_URL, MAIL_FROM: 'a@b.example' }).config.mail.tls).toBe(tls)
  })

  test('says which way mails go without a server', () => {
    expect(readConfig({}).config.mail.by).toBe('outbox')
  })
})

describe('the simulated phone', () => {
  let server: Server
  let address: string
  const outbox = createOutbox()

  beforeAll(async () => {
    const languages = createLanguageChoice({
      languages: createLanguages(loadCatalogues(), 'en'),
      issuer: 'http://localhost',
    })
    const brand = { name: 'Sallyport', color: '#1f6f5c', logo: null }
    const router = new Router()
    addOutbox(router, outbox, createPages({ brand, simulatedPhone: true, languages }))
    const koa = Object.assign(new Koa(), { keys: ['only of this test'] }).use(router.routes())
    server = koa.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const bound = server.address()
    address = typeof bound === 'object' ? `http://127.0.0.1:${bound?.port}/dev/outbox` : ''
  })
  afterAll(() => void server.close())

  test('shows mails among the texts, with a link to click on and nothing else to run', async () => {
    const text = 'Hallo <b>Zoë</b>\n\nhttps://login.example.com/link/AbCd\n\nEnd\n'
    outbox.keepMail({ to: MAIL.to, subject: '<i>Hello</i>', text })
    outbox.keepMail({ to: MAIL.to, subject: 'Two', text: 'https://x.example/"onclick="alert(1)' })
    const page = parse(await (await fetch(address)).text())
    const [newer, older] = page.querySelectorAll('.message')
    expect(older?.querySelector('.message-about')?.text).toContain('mail')
    expect(older?.querySelector('.message-subject')?.innerHTML).toBe('&lt;i&gt;Hello&lt;/i&gt;')
    expect(older?.querySelector('.bubble')?.innerHTML).toContain('Hallo &lt;b&gt;Zoë')
    const link = older?.querySelector('a')
    expect([link?.text, link?.getAttribute('href')]).toEqual(
      Array(2).fill('https://login.example.com/link/AbCd'),
    )
    expect(Object.keys(newer?.querySelector('a')?.attributes ?? {})).toEqual(['href'])
  })

  test('lists them for programs', async () => {
    const mail = { to: MAIL.to, channel: 'mail', sentAt: expect.any(String) }
    expect(await (await fetch(`${address}.json`)).json()).toEqual([
      { ...mail, subject: '<i>Hello</i>', text: expect.stringContaining('/link/AbCd') },
      { ...mail, subject: 'Two', text: expect.any(String) },
    ])
  })
})
