import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

let house: House
let admin: Awaited<ReturnType<typeof signInToConsole>>
beforeAll(async () => {
  house = await startHouse()
  await addAdmin(house, 'ada', 'admin')
  await addAdmin(house, 'helen', 'helpdesk', PHONES[1])
  admin = await signInToConsole(house, 'ada')
})
afterAll(() => house.stop())

/** Begins an import and hands a file over, as the forms do. @returns its page */
async function upload(content: string | Buffer, fields: Record<string, string> = {}) {
  const begun = await admin.submit('/admin/people/import/new', { format: 'csv', ...fields })
  const page = begun.location ?? ''
  const { html } = await admin.get(page)
  const form = new FormData()
  form.set('file', new Blob([content]), 'people.csv')
  const action = /action="([^"]+\/file\?[^"]+)"/.exec(html)?.[1] ?? ''
  const answer = await admin.flow.request(action, { method: 'POST', body: form })
  return { page, answer }
}

/** The page of an import, once it is worked off. */
async function finished(page: string): Promise<string> {
  for (let tries = 0; tries < 100; tries++) {
    const text = await admin.text(page)
    if (!text.includes('So far')) return text
    await pause(50)
  }
  throw new Error('the import did not end')
}

const ROWS =
  'username,name,email,phone,phone_verified\r\n' +
  'nora,=2+5,nora@example.com,+46701234571,yes\r\n' +
  'olof,Olof,not-an-address,,\r\n'

describe('importing by the console', () => {
  test('a dry run judges every row and writes nothing', async () => {
    const { page, answer } = await upload(ROWS, { dryRun: 'yes' })
    expect(answer.status).toBe(303)
    const text = await finished(page)
    expect(text).toContain('Would be made 1')
    expect(text).toContain('Refused 1')
    expect(await house.rooms.accounts.findByUsername('nora')).toBeUndefined()
  })

  test('an import makes accounts and tells of rows that it refused', async () => {
    const { page } = await upload(ROWS)
    const text = await finished(page)
    expect(text).toContain('Made 1')
    expect(text).toMatch(/Line Why 3 /)
    const nora = await house.rooms.accounts.findByUsername('nora')
    expect(nora?.name).toBe('=2+5')
  })

  test('one that runs says how far it is, and its page asks again by itself', async () => {
    const { imports } = house.rooms
    const id = await imports.begin({ format: 'csv', dryRun: true, update: false })
    // As if another instance were at it: this one leaves it alone.
    await sql`
      update import_job set state = 'running', bytes_total = 400, bytes_done = 100,
        runner = 'another', lease_until = ${house.clock()} + interval '10 minutes'
      where id = ${id}`.execute(house.db)
    const page = `/admin/people/import/${id}`
    const { html } = await admin.get(page)
    expect(html).toMatch(/<progress max="100" value="25"[^>]*>25 %<\/progress>/)
    expect(html).toContain('<meta http-equiv="refresh"')
    const stopped = await admin.send(page, `${page}/cancel`)
    expect(stopped.location).toContain('?done=import-cancelled')
    expect((await admin.get(page)).html).not.toMatch(/<progress|http-equiv="refresh"/)
  })

  test('a file without the form’s token is not taken', async () => {
    const begun = await admin.submit('/admin/people/import/new', { format: 'csv' })
    const form = new FormData()
    form.set('file', new Blob([ROWS]), 'people.csv')
    const answer = await admin.flow.request(`${begun.location}/file`, {
      method: 'POST',
      body: form,
    })
    expect(answer.status).toBe(403)
    expect(await admin.text(begun.location ?? '')).toContain('uploading')
  })

  test('an empty file and one of another kind are told in a sentence', async () => {
    expect((await upload('')).answer.status).toBe(400)
    const { page } = await upload(Buffer.from([0xff, 0xfe, 0x00, 0x41]))
    expect(await finished(page)).toMatch(/UTF-8|column|username/)
  })

  test('nobody but admins imports, or takes everything about a person away', async () => {
    const helper = await signInToConsole(house, 'helen', { phone: PHONES[1] })
    expect((await helper.get('/admin/people/import')).status).toBe(403)
    expect((await helper.submit('/admin/people/import/new', { format: 'csv' })).status).toBe(403)
    const ada = await house.rooms.accounts.findByUsername('ada')
    expect((await helper.get(`/admin/people/${ada?.id}/export`)).status).toBe(403)
    const all = await admin.get(`/admin/people/${ada?.id}/export`)
    expect(JSON.parse(all.html)).toMatchObject({ account: { username: 'ada' } })
    expect(all.headers.get('content-disposition')).toContain('attachment')
  })
})
