import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { totp, totpStep } from '../../src/second-factor/totp.ts'
import { signIn, signInToAccount, type Visit } from '../support/account.ts'
import { bytesOf } from '../support/base32.ts'
import { burst, createFlow } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'

const [OLD, NEW] = PHONES
const TOO_LATE = 20 * 60 + 1
const BETTER = 'four words nobody guesses'

let house: House
let people = 0
/** how far the house's clock was moved */
let moved = 0
beforeAll(async () => {
  house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '30', SECOND_FACTOR: 'optional' } })
})
afterAll(() => house.stop())

function wait(): void {
  moved += TOO_LATE
  house.moveClock(TOO_LATE)
}

async function atHome(proof: Parameters<typeof signInToAccount>[2] = {}) {
  const phone = proof.phone === undefined ? OLD : proof.phone
  const { id, username } = await house.addAccount(`person${++people}`, phone)
  return { id, username, me: await signInToAccount(house, username, proof) }
}

/** Someone who came in with the first of their backup codes. */
async function byBackupCode() {
  const { id, username } = await house.addAccount(`person${++people}`)
  const [code = ''] = await house.rooms.backupCodes.issue(id, { enrolling: true })
  return { id, username, me: await signInToAccount(house, username, { backupCode: code }) }
}

/** What a person has that sensitive changes are about. */
async function stateOf({ id }: { id: string }) {
  const { phones, authenticators, backupCodes, accounts } = house.rooms
  const { username = '' } = (await accounts.findById(id)) ?? {}
  const { account } = await accounts.authenticate(username, PASSWORD)
  return {
    phones: (await phones.list(id)).length,
    app: await authenticators.describe(id),
    codes: (await backupCodes.count(id)).createdAt,
    password: account !== undefined,
  }
}

/** A code of the app that is being added, by the secret on its page. */
async function codeOfApp(me: Visit): Promise<string> {
  const { html } = await me.get('/account/app/prove')
  const [, secret = ''] = /class="secret"[^>]*>([A-Z2-7 ]+)</.exec(html) ?? []
  return totp(bytesOf(secret), totpStep(Math.floor(Date.now() / 1000) + moved), 6)
}

describe('sensitive changes', () => {
  const CHANGES: Array<[string, Record<string, string>]> = [
    ['/account/phones/add', { number: NEW, country: '' }],
    ['/account/phones/ID/primary', {}],
    ['/account/phones/ID/remove', {}],
    ['/account/app/add', {}],
    ['/account/app/remove', {}],
    ['/account/backup-codes/new', { seen: '' }],
    ['/account/password', { current: PASSWORD, password: BETTER, again: BETTER }],
  ]

  test('need a second factor of the last 20 minutes [ADM-03, ADM-04, ADM-11, BKP-06]', async () => {
    const person = await atHome()
    const { me } = person
    const [phone] = await house.rooms.phones.list(person.id)
    const before = await stateOf(person)
    wait()
    for (const [path, fields] of CHANGES) {
      const answer = await me.post(path.replace('ID', phone?.id ?? ''), fields)
      // There is no app to be removed.
      if (path === '/account/app/remove') expect(answer.status).toBe(404)
      else {
        const asked = new URL(answer.location ?? '')
        expect(asked.pathname, path).toBe('/auth')
        expect(asked.searchParams.get('prompt')).toBe('login')
      }
    }
    expect(await stateOf(person)).toEqual(before)
    expect((await me.get('/account')).status).toBe(200)
  })

  test('go on where they were after it, with what was typed', async () => {
    const { me, username } = await atHome()
    wait()
    const sent = await me.post('/account/phones/add', { number: '070-1', country: 'SE' })
    expect(sent.location).not.toContain('070-1')
    const page = await signIn(house, me.flow, sent, username)
    expect(page.html).toContain('value="070-1"')
    expect(page.html).toMatch(/value="SE" selected/)
    const fresh = await me.get('/account/phones/add')
    expect(fresh.html).not.toContain('070-1')
  })

  test('are not for another browser’s proof', async () => {
    const { username } = await atHome()
    const trusting = createFlow(house)
    const page = await signIn(house, trusting, await trusting.request('/account'), username)
    expect(page.status).toBe(200)
    const cookies = await trusting.jar.getCookieString(house.issuer)
    const session = cookies.split('; ').filter((cookie) => cookie.startsWith('sallyport_session'))
    const stolen = await fetch(`${house.issuer}/account/phones/add`, {
      headers: { cookie: session.join('; ') },
      redirect: 'manual',
    })
    expect(stolen.headers.get('location')).toContain('prompt=login')
  })

  test('wait while all that was shown is too new, and say until when', async () => {
    const person = await atHome()
    await person.me.addPhone(NEW)
    wait()
    const flow = createFlow(house)
    await flow.arrive(
      (await flow.request((await flow.request('/account')).location ?? '')).location ?? '',
    )
    await flow.password(person.username)
    const [, added] = await house.rooms.phones.list(person.id)
    await flow.step('phone', { phone: added?.id ?? '' })
    let at = await flow.code(house.lastCode(NEW))
    while (at.location) at = await flow.request(at.location)
    const held = await flow.request('/account/password')
    expect(held.status).toBe(403)
    expect(held.html).toMatch(/It can confirm changes from <time/)
    expect((await flow.request('/account/password?again=yes')).location).toContain('prompt=login')
  })

  test('of a factor take the password, too, from whoever shows a backup code [BKP-11]', async () => {
    const person = await byBackupCode()
    const { me } = person
    const [phone] = await house.rooms.phones.list(person.id)
    const before = await stateOf(person)
    const factors = CHANGES.filter(([path]) => !/password|app\/remove/.test(path))
    for (const [path, fields] of factors) {
      const to = path.replace('ID', phone?.id ?? '')
      const form = new URLSearchParams({ ...fields, form_token: me.token })
      if (form.has('seen')) form.set('seen', before.codes?.toISOString() ?? '')
      for (const password of ['', 'not mine at all']) {
        form.set('password', password)
        const answer = await me.flow.post(to, form)
        expect(answer.status, path).toBe(403)
        expect(answer.html).toContain('name="password"')
      }
    }
    expect(await stateOf(person)).toEqual(before)
    const form = { number: NEW, country: '', password: PASSWORD }
    expect((await me.post('/account/phones/add', form)).location).toContain('/prove')
  })

  test('begin with a fresh password where there is no second factor yet', async () => {
    const person = await atHome({ phone: null })
    const { me } = person
    expect((await me.get('/account/backup-codes')).html).toContain('Add one of those first')
    expect((await me.post('/account/backup-codes/new', { seen: '' })).status).toBe(404)
    expect((await me.addPhone(NEW)).location).toContain('done=phone-added')
    expect(await house.rooms.phones.list(person.id)).toMatchObject([
      { number: NEW, primary: true, heldUntil: null },
    ])
    // From now on there is more to show than a password.
    const asked = await me.get('/account/password')
    expect(asked.location).toContain('prompt=login')
    expect((await signIn(house, me.flow, asked, person.username, { phone: NEW })).status).toBe(200)
  })

  test('wait for a backup code where that is all there is', async () => {
    const person = await house.addAccount(`person${++people}`, null)
    const me = await signInToAccount(house, person.username, { phone: null })
    const [code = ''] = await house.rooms.backupCodes.issue(person.id, { enrolling: true })
    const asked = await me.post('/account/phones/add', { number: NEW, country: '' })
    expect(asked.location).toContain('prompt=login')
    const back = await signIn(house, me.flow, asked, person.username, { backupCode: code })
    expect(back.html).toContain('name="password"')
    expect(await house.rooms.phones.list(person.id)).toEqual([])
  })
})

describe('the password', () => {
  test('is changed by who knows it, and ends other sessions and remembered browsers', async () => {
    const person = await atHome()
    const elsewhere = await signInToAccount(house, person.username)
    await house.rooms.trustedDevices.trust(person.id, 'Firefox on Windows')
    const form = { current: PASSWORD, password: BETTER, again: BETTER }
    const wrong: Array<[Record<string, string>, number, string]> = [
      [{ current: 'not it' }, 403, 'not your password'],
      [{ current: '' }, 400, 'that you sign in with now'],
      [{ again: 'another' }, 400, 'differ'],
      [{ password: 'short', again: 'short' }, 400, 'at least 8'],
      [{ password: 'password123', again: 'password123' }, 400, 'stolen'],
    ]
    for (const [change, status, words] of wrong) {
      const answer = await person.me.post('/account/password', { ...form, ...change })
      expect(answer.status).toBe(status)
      expect(answer.html).toContain(words)
    }
    expect(await stateOf(person)).toMatchObject({ password: true })
    const changed = await person.me.post('/account/password', form)
    expect(changed.location).toContain('done=password-changed')
    expect(await stateOf(person)).toMatchObject({ password: false })
    expect((await elsewhere.get('/account')).status).toBe(303)
    expect((await person.me.get('/account')).status).toBe(200)
    expect(await house.rooms.trustedDevices.list(person.id)).toEqual([])
    const kinds = await house.db
      .selectFrom('notice')
      .select('kind')
      .where('account_id', '=', person.id)
      .execute()
    expect(kinds).toContainEqual({ kind: 'password.changed' })
  })
})

describe('backup codes', () => {
  const codesIn = (html: string) => html.match(/[B-Z]{4}(-[B-Z]{4}){3}/g) ?? []

  test('are shown once; new ones end the old, and the same form makes none twice [BKP-05]', async () => {
    const { id, me } = await atHome()
    const first = await me.post('/account/backup-codes/new', { seen: '' })
    expect(codesIn(first.html)).toHaveLength(10)
    expect(first.headers.get('cache-control')).toBe('no-store')
    const again = await me.post('/account/backup-codes/new', { seen: '' })
    expect(again.location).toBe(`${house.issuer}/account/backup-codes`)
    const page = await me.get('/account/backup-codes')
    expect(codesIn(page.html)).toEqual([])
    expect(page.html).toContain('10 left')
    const { createdAt } = await house.rooms.backupCodes.count(id)
    const seen = createdAt?.toISOString() ?? ''
    const answers = await burst(3, () => me.post('/account/backup-codes/new', { seen }))
    const shown = answers.filter(({ status }) => status === 200)
    expect(shown).toHaveLength(1)
    expect(codesIn(shown[0]?.html ?? '')).not.toEqual(codesIn(first.html))
    expect(await house.rooms.backupCodes.count(id)).toMatchObject({ left: 10, total: 10 })
  })

  test('ask to be renewed while there are two', async () => {
    const { id, me } = await atHome()
    await house.rooms.backupCodes.issue(id, { enrolling: true })
    expect(await me.text('/account/backup-codes')).not.toContain('soon have none')
    await house.db.deleteFrom('backup_code').where('account_id', '=', id).execute()
    const rows = ['a', 'b'].map((text) => ({
      hash: Buffer.from(id + text),
      account_id: id,
      created_at: new Date(),
    }))
    await house.db.insertInto('backup_code').values(rows).execute()
    expect(await me.text('/account/backup-codes')).toContain('soon have none')
  })
})

describe('the authenticator app', () => {
  test('is added by its first code and removed again', async () => {
    const { id, me } = await atHome()
    const begun = await me.post('/account/app/add')
    expect(begun.location).toContain('/account/app/prove')
    expect(await house.rooms.authenticators.describe(id)).toBeUndefined()
    expect((await me.post('/account/app/prove', { code: '000' })).status).toBe(400)
    const added = await me.post('/account/app/prove', { code: await codeOfApp(me) })
    expect(added.location).toContain('/account/app?done=app-added')
    expect(await house.rooms.authenticators.describe(id)).toMatchObject({ held: true })
    expect((await me.post('/account/app/add')).status).toBe(409)
    const removed = await me.post('/account/app/remove')
    expect(removed.location).toContain('done=app-removed')
    expect(await house.rooms.authenticators.describe(id)).toBeUndefined()
  })
})
