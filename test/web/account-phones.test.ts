import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signInToAccount, type Visit } from '../support/account.ts'
import { burst } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'

const [OLD, NEW, OTHER] = PHONES
const HOLD_OFF = 24 * 3600

let house: House
let people = 0
beforeAll(async () => {
  house = await startHouse()
})
afterAll(() => house.stop())

interface Person {
  id: string
  username: string
  me: Visit
}

async function atHome(): Promise<Person> {
  const { id, username } = await house.addAccount(`person${++people}`)
  return { id, username, me: await signInToAccount(house, username) }
}

const phonesOf = ({ id }: { id: string }) => house.rooms.phones.list(id)
const numbersOf = async (person: { id: string }) =>
  (await phonesOf(person)).map(({ number }) => number)

async function idOf(person: { id: string }, number: string): Promise<string> {
  return (await phonesOf(person)).find((phone) => phone.number === number)?.id ?? ''
}

/** What was queued for the owner to be told: kinds and media, oldest first. */
async function told({ id }: { id: string }): Promise<string[]> {
  const rows = await house.db
    .selectFrom('notice')
    .select(['kind', 'medium'])
    .where('account_id', '=', id)
    .orderBy('created_at')
    .orderBy('medium')
    .execute()
  return rows.map(({ kind, medium }) => `${kind} ${medium}`)
}

describe('adding a phone', () => {
  test('counts from its first code on, and can’t confirm changes for a while [ADM-03]', async () => {
    const person = await atHome()
    const { me } = person
    const sent = await me.post('/account/phones/add', { number: NEW, country: '' })
    expect(sent.location).toBe(`${house.issuer}/account/phones/prove`)
    expect(await numbersOf(person)).toEqual([OLD])
    const wrong = await me.post('/account/phones/prove', { code: '12345' })
    expect(wrong).toMatchObject({ status: 400 })
    expect(await numbersOf(person)).toEqual([OLD])
    const right = await me.post('/account/phones/prove', { code: house.lastCode(NEW) })
    expect(right.location).toContain('done=phone-added')
    expect(await phonesOf(person)).toMatchObject([
      { number: OLD, primary: true, heldUntil: null },
      { number: NEW, primary: false, verified: true, heldUntil: expect.any(Date) },
    ])
    expect(await me.text('/account/phones')).toContain('can confirm changes from')
  })

  test('is told to the number that was there and by mail, never to the new one alone [ADM-05]', async () => {
    const number = '+46701234590'
    const { id, username } = await house.addAccount(`person${++people}`, number)
    const me = await signInToAccount(house, username, { phone: number })
    await me.addPhone(NEW)
    expect(await told({ id })).toEqual(['phone.added mail', 'phone.added sms'])
    const texts = () => house.gateway.messages.filter(({ text }) => text.includes('was added'))
    const mails = async () => (await fetch(`${house.issuer}/dev/outbox.json`)).text()
    // As often as notices are looked for, and then some.
    for (let waited = 0; waited < 15_000; waited += 50) {
      if (texts().some(({ to }) => to === number) && (await mails()).includes(username)) break
      await pause(50)
    }
    expect(texts().map(({ to }) => to)).toContain(number)
    expect(texts().map(({ to }) => to)).not.toContain(NEW)
    expect(await mails()).toContain(`${username}@example.com`)
  })

  test('signs out every other browser, and this one not [SES-07]', async () => {
    const person = await atHome()
    const elsewhere = await signInToAccount(house, person.username)
    expect((await elsewhere.get('/account')).status).toBe(200)
    await person.me.addPhone(NEW)
    expect((await elsewhere.get('/account')).status).toBe(303)
    expect((await person.me.get('/account')).status).toBe(200)
  })

  test.each([
    '+1',
    '+0000000000',
    '112',
    '+979123456789',
    '+4670123\r\nX: y',
    `+${'4'.repeat(40)}`,
    'letters',
    '📱',
    '+46701234571;ext=1',
  ])('refuses %j in words [input 95]', async (number) => {
    const person = await atHome()
    const answer = await person.me.post('/account/phones/add', { number, country: '' })
    expect(answer.status).toBe(400)
    expect(answer.html).toMatch(/role="alert"/)
    expect(await numbersOf(person)).toEqual([OLD])
  })

  test('knows a number in every spelling [input 96]', async () => {
    const person = await atHome()
    const spelt = { number: '070-123 45 67', country: 'SE' }
    const answer = await person.me.post('/account/phones/add', spelt)
    expect(answer.status).toBe(409)
    expect(answer.html).toContain('You have this number already')
  })

  test('goes on where it stood when the form is sent twice or gone back to', async () => {
    const person = await atHome()
    const { me } = person
    const form = { number: NEW, country: '' }
    const before = house.codeTexts().length
    await me.post('/account/phones/add', form)
    await me.post('/account/phones/add', form)
    expect(house.codeTexts().length - before).toBe(1)
    const code = house.lastCode(NEW)
    await me.post('/account/phones/prove', { code })
    const again = await me.post('/account/phones/prove', { code })
    expect(again.location).toContain('done=phone-added')
    expect(await numbersOf(person)).toEqual([OLD, NEW])
    const back = await me.get('/account/phones/prove')
    expect(back.location).toBe(`${house.issuer}/account/phones`)
  })

  test('can be given up, and begun with another number', async () => {
    const person = await atHome()
    const { me } = person
    await me.post('/account/phones/add', { number: NEW, country: '' })
    const again = await me.post('/account/phones/prove/again')
    expect(again.location).toBe(`${house.issuer}/account/phones/add`)
    expect((await me.addPhone(OTHER)).location).toContain('done=phone-added')
    expect(await numbersOf(person)).toEqual([OLD, OTHER])
    const code = house.lastCode(NEW)
    expect((await me.post('/account/phones/prove', { code })).location).not.toContain('done=')
    await me.post('/account/phones/prove/cancel')
    expect(await numbersOf(person)).toEqual([OLD, OTHER])
  })

  test('ends at five', async () => {
    const person = await atHome()
    for (const number of [NEW, OTHER, PHONES[3], '+46701234571']) await person.me.addPhone(number)
    const sixth = await person.me.post('/account/phones/add', {
      number: '+46701234572',
      country: '',
    })
    expect(sixth.status).toBe(409)
    expect(await numbersOf(person)).toHaveLength(5)
  })
})

describe('the phones there are', () => {
  test('are named, put in order and made the main one', async () => {
    const person = await atHome()
    const { me } = person
    await me.addPhone(NEW)
    await me.addPhone(OTHER)
    const third = await idOf(person, OTHER)
    await me.post(`/account/phones/${third}/name`, { name: ' Work ' })
    await me.post(`/account/phones/${third}/up`)
    expect(await numbersOf(person)).toEqual([OLD, OTHER, NEW])
    const primary = await me.post(`/account/phones/${third}/primary`)
    expect(primary.location).toContain('done=phone-primary')
    expect((await phonesOf(person))[0]).toMatchObject({
      number: OTHER,
      primary: true,
      label: 'Work',
    })
    expect(await told(person)).toContain('phone.made-primary sms')
    const long = await me.post(`/account/phones/${third}/name`, { name: 'x'.repeat(41) })
    expect(long.status).toBe(400)
  })

  test('are shown with two digits and no more', async () => {
    const { me } = await atHome()
    const html = (await me.get('/account/phones')).html
    expect(html).toContain('67')
    expect(html).not.toContain(OLD.slice(3, 9))
  })

  test('of somebody else aren’t there [ADM-07, input 98]', async () => {
    const [a, b] = [await atHome(), await atHome()]
    const theirs = await idOf(b, OLD)
    for (const id of [theirs, 'x', '%00', '..%2f', 'a'.repeat(200)]) {
      for (const page of ['', '/primary', '/remove'])
        expect((await a.me.get(`/account/phones/${id}${page}`)).status).toBe(404)
      expect((await a.me.post(`/account/phones/${id}/name`, { name: 'mine' })).status).toBe(404)
      for (const form of ['up', 'primary', 'remove'])
        expect((await a.me.post(`/account/phones/${id}/${form}`)).status).toBe(404)
    }
    expect(await phonesOf(b)).toMatchObject([{ id: theirs, label: null }])
  })
})

describe('removing a phone', () => {
  test('is told to it, ends its use, and going back to it finds nothing', async () => {
    const person = await atHome()
    const { me } = person
    await me.addPhone(NEW)
    const id = await idOf(person, NEW)
    const removed = await me.post(`/account/phones/${id}/remove`)
    expect(removed.location).toContain('done=phone-removed')
    expect(await numbersOf(person)).toEqual([OLD])
    expect(await told(person)).toContain('phone.removed sms')
    expect((await me.post(`/account/phones/${id}/remove`)).status).toBe(404)
    expect((await me.get(`/account/phones/${id}/remove`)).status).toBe(404)
  })

  test('leaves the last one where one is required [ADM-11]', async () => {
    const person = await atHome()
    const answer = await person.me.post(`/account/phones/${await idOf(person, OLD)}/remove`)
    expect(answer.status).toBe(409)
    expect(answer.html).toContain('your only way to get one')
    expect(await numbersOf(person)).toEqual([OLD])
  })

  test('leaves one of the last two, however they are removed', async () => {
    const person = await atHome()
    await person.me.addPhone(NEW)
    house.moveClock(HOLD_OFF + 1)
    const me = await signInToAccount(house, person.username)
    const ids = [await idOf(person, OLD), await idOf(person, NEW)]
    const answers = await burst(2, (i) => me.post(`/account/phones/${ids[i]}/remove`))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([303, 409])
    expect(await phonesOf(person)).toMatchObject([{ primary: true }])
  })

  test('leaves none that is too new to stand alone, but for whoever shows a backup code', async () => {
    const person = await atHome()
    const { id, me } = person
    const [code = ''] = await house.rooms.backupCodes.issue(id, { enrolling: true })
    await me.addPhone(NEW)
    const old = await idOf(person, OLD)
    const refused = await me.post(`/account/phones/${old}/remove`)
    expect(refused.status).toBe(409)
    expect(refused.html).toContain('too recently to stand alone')
    expect(await numbersOf(person)).toEqual([OLD, NEW])

    const lost = await signInToAccount(house, person.username, { backupCode: code })
    const asked = await lost.post(`/account/phones/${old}/remove`)
    expect(asked.status).toBe(403)
    expect(asked.html).toContain('Type the password')
    await lost.post(`/account/phones/${old}/remove`, { password: PASSWORD })
    expect(await numbersOf(person)).toEqual([NEW])
  })
})
