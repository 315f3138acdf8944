import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'node-html-parser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { documentation } from '../../src/config/variables.ts'
import { apiWith } from '../support/api.ts'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, REDIRECT_URI, startHouse } from '../support/house.ts'

type Console = Awaited<ReturnType<typeof signInToConsole>>

let house: House
let ada: Console
const others: Array<{ name: string; console: Console }> = []
const ROLES = [
  ['helen', 'helpdesk', PHONES[1]],
  ['otto', 'auditor', PHONES[2]],
] as const

beforeAll(async () => {
  house = await startHouse({
    env: {
      SMTP_URL: 'smtp://mailer:pa55-of-the-mail@localhost:2525',
      MAIL_FROM: 'Login <login@example.com>',
      SIM_SWAP_URL: 'https://swap.example.com/check?key=in-the-address',
      SIM_SWAP_TOKEN: 'token-of-the-sim-swap',
      TWILIO_AUTH_TOKEN: '0123456789abcdef0123456789abcdef',
      BRAND_NAME: 'Harbour <b>',
    },
  })
  await addAdmin(house, 'ada', 'admin')
  ada = await signInToConsole(house, 'ada')
  for (const [name, role, phone] of ROLES) {
    await addAdmin(house, name, role, phone)
    others.push({ name, console: await signInToConsole(house, name, { phone }) })
  }
})
afterAll(() => house.stop())

const form = {
  name: 'Bücher & Co',
  kind: 'web',
  redirectUris: `${REDIRECT_URI}\r\nhttps://shop.example.com/other`,
  'scope-profile': 'yes',
  'scope-email': 'yes',
  firstParty: 'yes',
}

/** What a page gives to copy, by the library's name. */
function snippets(html: string): Map<string, string> {
  const blocks = parse(html, { blockTextElements: {} }).querySelectorAll('details.snippet')
  return new Map(
    blocks.map((block) => [
      block.querySelector('summary')?.childNodes[0]?.text.trim() ?? '',
      block.querySelector('pre')?.text ?? '',
    ]),
  )
}

function valuesOf(html: string): Map<string, string> {
  return new Map(
    parse(html)
      .querySelectorAll('.copy')
      .map((each) => [
        each.querySelector('.copy-label')?.text ?? '',
        each.querySelector('.copy-value')?.text ?? '',
      ]),
  )
}

describe('apps at the console', () => {
  test('are registered in one form, which ends with what to copy; a real library signs in with it', async () => {
    const made = await ada.submit('/admin/apps/new', form)
    expect(made.status).toBe(200)
    const id = valuesOf(made.html).get('Client id') ?? ''
    const secret = valuesOf(made.html).get('Client secret') ?? ''
    expect(id).toBe('bucher-co')
    expect(await house.rooms.clients.show(id)).toMatchObject({
      name: 'Bücher & Co',
      redirectUris: [REDIRECT_URI, 'https://shop.example.com/other'],
      grants: ['authorization_code'],
      scope: ['openid', 'profile', 'email'],
      firstParty: true,
      secondFactor: null,
    })

    const blocks = snippets(made.html)
    const discovery: Record<string, unknown> = JSON.parse(
      (await ada.flow.request('/.well-known/openid-configuration')).html,
    )
    const known = new Set(Object.values(discovery).map(String))
    for (const [library, text] of blocks) {
      if (!library.includes('before Spring Security')) {
        expect(text, library).toContain(secret)
        expect(text, library).toContain(id)
        expect(text, library).toContain(house.issuer)
      }
      for (const [url] of text.matchAll(/http:\/\/localhost:\d+\/[\w/.-]+/g)) {
        if (!url.includes('.well-known')) expect(known, `${library}: ${url}`).toContain(url)
      }
    }
    expect(blocks.get('Any library')).toContain(`Redirect URI:          ${REDIRECT_URI}`)

    const person = await signInBy(blocks.get('Node.js, openid-client') ?? '')
    expect(person).toMatchObject({
      preferred_username: 'ada',
      email: 'ada@example.com',
      acr: 'https://refeds.org/profile/mfa',
    })

    const page = await ada.get(`/admin/apps/${id}`)
    expect(page.html).not.toContain(secret)
    expect(page.html).toContain('YOUR_CLIENT_SECRET')
    expect(page.html).toContain('Bücher &amp; Co')
    expect((await ada.text('/admin/apps')).replace('&amp;', '&')).toContain('Bücher & Co')
    const { actor } = await house.db
      .selectFrom('audit_event')
      .select('actor')
      .where('type', '=', 'client.created')
      .where('client_id', '=', id)
      .executeTakeFirstOrThrow()
    expect(actor).toMatch(/^admin:/)
  })

  test('without a secret, and programs, get what is theirs', async () => {
    const page = await ada.submit('/admin/apps/new', {
      ...form,
      name: 'Phone app',
      kind: 'public',
      redirectUris: 'com.example.app:/callback',
    })
    expect(page.location).toContain('/admin/apps/phone-app?done=app-created')
    const shown = snippets((await ada.get('/admin/apps/phone-app')).html)
    expect(shown.get('Android, AppAuth')).toContain('= "com.example.app"')
    expect([...shown.values()].join()).not.toContain('YOUR_CLIENT_SECRET')

    await ada.submit('/admin/apps/new', { ...form, name: 'Evening TV', kind: 'device' })
    const tv = snippets((await ada.get('/admin/apps/evening-tv')).html)
    expect(tv.get('Any library')).toContain('urn:ietf:params:oauth:grant-type:device_code')
    expect(tv.get('Node.js, openid-client')).toContain("'evening-tv',\n  undefined,\n")
    expect(await house.rooms.clients.show('evening-tv')).toMatchObject({
      public: true,
      grants: ['device_code'],
      redirectUris: [],
    })

    const program = await ada.submit('/admin/apps/new', {
      name: 'Night job',
      id: 'job',
      kind: 'program',
      'scope-admin:read': 'yes',
    })
    const secret = valuesOf(program.html).get('Client secret')
    const curl = snippets(program.html).get('curl')
    expect(curl).toContain(`--user 'job:${secret}'`)
    expect(await house.rooms.clients.show('job')).toMatchObject({
      grants: ['client_credentials'],
      scope: ['admin:read'],
    })
  })

  test('are refused in a sentence, with what was typed', async () => {
    const refused = await ada.submit('/admin/apps/new', {
      ...form,
      name: 'Wild',
      redirectUris: 'https://shop.example.com/*',
    })
    expect(refused.status).toBe(400)
    const page = parse(refused.html)
    expect(page.querySelector('[role=alert]')?.text).toContain('must have no wildcard')
    expect(page.querySelector('[name=name]')?.getAttribute('value')).toBe('Wild')
    expect(page.querySelector('[name=redirectUris]')?.text).toBe('https://shop.example.com/*')
    expect(page.querySelector('[name="scope-email"]')?.hasAttribute('checked')).toBe(true)
    expect(page.querySelector('[name="scope-phone"]')?.hasAttribute('checked')).toBe(false)
    const same = await ada.submit('/admin/apps/new', { ...form, id: 'job' })
    expect(parse(same.html).querySelector('[role=alert]')?.text).toContain('job already')
    expect((await ada.submit('/admin/apps/new', { ...form, public: 'yes' })).status).toBe(400)
  })

  test('are edited as they were shown, get new secrets, and are deleted with a reason', async () => {
    const { secret: first } = await house.addClient('mine', { name: 'Mine', introspects: ['job'] })
    const { kind: _, ...members } = form
    const reason = 'it leaked'
    const fields = {
      ...members,
      name: 'Ours',
      introspects: 'job',
      secondFactor: 'required',
      reason,
    }
    const edited = await ada.submit('/admin/apps/mine/edit', fields)
    expect(edited.location).toContain('/admin/apps/mine?done=app-changed')
    const late = await ada.submit('/admin/apps/mine/edit', {
      ...fields,
      name: 'Late',
      version: '1',
    })
    expect(late.status).toBe(412)
    expect(await house.rooms.clients.show('mine')).toMatchObject({
      name: 'Ours',
      secondFactor: 'required',
      version: 2,
    })

    // The part that is folded away.
    const page = await ada.text('/admin/apps/mine/edit')
    expect(page).toContain('Advanced')
    const bound = await ada.submit('/admin/apps/mine/edit', {
      ...fields,
      redirectUris: 'https://mine.example/cb',
      version: '2',
      requirePar: 'yes',
      pairwise: 'yes',
      idTokenAlgorithm: 'EdDSA',
    })
    expect(bound.location, bound.html).toContain('done=app-changed')
    expect(await house.rooms.clients.show('mine')).toMatchObject({
      requirePar: true,
      requireDpop: false,
      subjectType: 'pairwise',
      idTokenAlgorithm: 'EdDSA',
      apiScopes: [],
      version: 3,
    })
    expect(await ada.text('/admin/apps/mine')).toContain('pairwise, within')

    expect((await ada.submit('/admin/apps/mine/secret', { hours: '24' })).status).toBe(400)
    expect((await ada.submit('/admin/apps/mine/secret', { hours: '999', reason })).status).toBe(400)
    const rotated = await ada.submit('/admin/apps/mine/secret', { hours: '24', reason })
    const second = valuesOf(rotated.html).get('Client secret')
    expect(second).not.toBe(first)
    expect(await ada.text('/admin/apps/mine')).toContain('two; the one before is good until')

    expect((await ada.submit('/admin/apps/mine/delete', { reason: '' })).status).toBe(400)
    const gone = await ada.submit('/admin/apps/mine/delete', { reason: 'closed' })
    expect(gone.location).toContain('/admin/apps?done=app-deleted')
    expect((await ada.get('/admin/apps/mine')).status).toBe(404)
    expect((await ada.get('/admin/apps/sallyport-console')).status).toBe(404)
  })
})

describe('other roles', () => {
  test('look at apps, and change nothing, at the console or by the API', async () => {
    await house.addClient('theirs')
    const admin = { scope: ['openid', 'admin:write'] as const }
    const app = await house.addClient('tool', { scope: [...admin.scope] })
    for (const { name, console } of others) {
      expect((await console.get('/admin/apps/theirs')).status, name).toBe(200)
      expect(await console.text('/admin/apps'), name).not.toContain('Register an app')
      const paths = ['apps/new', 'apps/theirs/edit', 'apps/theirs/secret', 'apps/theirs/delete']
      for (const path of [...paths, 'keys/rotate', 'keys/rotate-now']) {
        expect((await console.get(`/admin/${path}`)).status, `${name} ${path}`).toBe(403)
        const token = { form_token: 'x', reason: 'because' }
        expect((await console.flow.post(`/admin/${path}`, token)).status, path).toBe(403)
      }

      const flow = createFlow(house, { jar: console.flow.jar, client: app })
      const start = await flow.request(flow.authorizationUrl({ scope: 'openid admin:write' }))
      const code = (await flow.resume(start)).get('code') ?? ''
      const api = apiWith(house, String((await flow.redeem(code)).body.access_token))
      expect((await api.get('/clients/theirs')).status, name).toBe(200)
      const tries = await Promise.all([
        api.post('/clients', { id: 'new', redirectUris: [REDIRECT_URI] }),
        api.patch('/clients/theirs', { name: 'Mine' }),
        api.post('/clients/theirs/secret', { reason: 'because' }),
        api.delete('/clients/theirs?reason=because'),
        api.post('/signing-keys/rotation', { reason: 'because', now: true }),
      ])
      expect(tries.map(({ json }) => json.code)).toEqual(Array(5).fill('forbidden'))
    }
    const [helen, otto] = others.map(({ console }) => console)
    for (const path of ['/admin/keys', '/admin/settings']) {
      expect((await helen?.get(path))?.status).toBe(403)
      expect((await otto?.get(path))?.status).toBe(200)
    }
  })
})

describe('signing keys at the console', () => {
  test('are shown without private parts, and rotated with a reason', async () => {
    expect(await ada.text('/admin/keys')).toContain('signs')
    expect((await ada.submit('/admin/keys/rotate')).status).toBe(400)
    const rotated = await ada.submit('/admin/keys/rotate', { reason: 'once a year' })
    expect(rotated.location).toContain('/admin/keys?done=keys-rotated')
    const again = await ada.submit('/admin/keys/rotate', { reason: 'once a year' })
    expect(again.html).toContain('A rotation of the signing keys is under way')
    await ada.submit('/admin/keys/rotate-now', { reason: 'it leaked' })
    const page = (await ada.get('/admin/keys')).html
    for (const { kid } of await house.rooms.signingKeys.list()) expect(page).toContain(kid)
    for (const { d } of await house.rooms.signingKeys.load()) expect(page).not.toContain(d)
  })
})

describe('settings', () => {
  test('show every variable, and nothing of the secret half of the configuration', async () => {
    const { html } = await ada.get('/admin/settings')
    for (const name of documentation.keys()) expect(html, name).toContain(`<code>${name}</code>`)
    expect(html).toContain('Harbour &lt;b&gt;')
    expect(html).toContain('login@example.com')
    expect(html).toMatch(/PostgreSQL 1\d/)
    const secrets = textsOf(readConfig(house.variables).secrets)
    expect(secrets.length).toBeGreaterThan(6)
    const words = secrets.flatMap((secret) => [secret, ...secret.split(/[:/@?=]+/)])
    const telling = words.filter(
      (word) => word.length > 7 && !['localhost', '127.0.0.1'].includes(word),
    )
    for (const word of [...telling, 'in-the-address']) expect(html).not.toContain(word)
  })
})

/** Every text in a value, however deep; keys as they are written. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (Buffer.isBuffer(value)) return [value.toString('base64')]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(textsOf)
}

/** Signs ada in by the very lines that the console gave to copy. */
async function signInBy(text: string): Promise<unknown> {
  const folder = await mkdtemp(join(import.meta.dirname, 'copied-'))
  try {
    await writeFile(join(folder, 'sign-in.mjs'), text)
    const { begin, finish } = await import(join(folder, 'sign-in.mjs'))
    const { url, ...kept } = await begin()
    const back = await ada.flow.resume(await ada.flow.request(String(url)))
    return await finish(new URL(`${REDIRECT_URI}?${back}`), kept)
  } finally {
    await rm(folder, { recursive: true })
  }
}
