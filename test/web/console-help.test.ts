import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { signIn } from '../support/account.ts'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

const WEB_CODE = /[BCDFGHJKLMNPQRSTVWXZ]{4}(?:-[BCDFGHJKLMNPQRSTVWXZ]{4}){3}/

let house: House
let app: { id: string; secret: string }
let helen: Awaited<ReturnType<typeof signInToConsole>>
let paul: { id: string }

beforeAll(async () => {
  house = await startHouse({ env: { BYPASS_CODE_CONSENT: 'required', OTP_RESEND_SECONDS: '5' } })
  app = await house.addClient()
  await addAdmin(house, 'ada', 'admin')
  await addAdmin(house, 'helen', 'helpdesk', PHONES[1])
  paul = await house.addAccount('paul', PHONES[2])
  helen = await signInToConsole(house, 'helen', { phone: PHONES[1] })
})
afterAll(() => house.stop())
beforeEach(() => house.gateway.reset())

describe('the help desk at the console', () => {
  test('makes a code that a second person approves, and that then lets its owner in', async () => {
    const url = `/admin/people/${paul.id}`
    expect((await helen.submit(`${url}/bypass-code`, { reason: '' })).status).toBe(400)
    const made = await helen.submit(`${url}/bypass-code`, { reason: 'phone at home' })
    expect(made.status).toBe(200)
    const [code = ''] = WEB_CODE.exec(made.html) ?? []
    expect(code).not.toBe('')
    expect(await helen.text(url)).toContain('waits for approval')
    const ada = await signInToConsole(house, 'ada')
    const [approval = ''] = /bypass-codes\/[\w-]+\/approve/.exec((await ada.get(url)).html) ?? []
    // Consent is an admin's, and given with a reason.
    expect((await helen.submit(`${url}/${approval}`)).status).toBe(403)
    expect((await ada.submit(`${url}/${approval}`)).status).toBe(400)
    const approved = await ada.submit(`${url}/${approval}`, { reason: 'heard them myself' })
    expect(approved.location).toContain('done=bypass-approved')
    expect(await ada.text(url)).toMatch(/good for one sign-in.*Made by helen , approved by ada/)

    const flow = createFlow(house, { client: app })
    await flow.toCode('paul')
    const back = await flow.resume(await flow.step('backup-code', { code }))
    expect(back.get('code')).not.toBeNull()
    const events = await house.db
      .selectFrom('audit_event')
      .select(['type', 'actor', 'detail'])
      .where('type', 'like', 'bypass-code.%')
      .orderBy('id')
      .execute()
    expect(events.map(({ type }) => type)).toEqual([
      'bypass-code.issued',
      'bypass-code.approved',
      'bypass-code.used',
    ])
    expect(events[0]?.detail).toMatchObject({ reason: 'phone at home' })
  })

  test('sends the code again that somebody waits for, and says what became of it', async () => {
    const url = `/admin/people/${paul.id}`
    expect(await helen.text(url)).not.toContain('A sign-in waits')
    expect((await helen.submit(`${url}/resend-code`)).status).toBe(409)
    const flow = createFlow(house, { client: app })
    await flow.toCode('paul')
    expect(await helen.text(url)).toMatch(/A sign-in waits for a code\. The text to .* was sent/)
    expect((await helen.submit(`${url}/resend-code`)).status).toBe(429)
    house.moveClock(10)
    expect((await helen.submit(`${url}/resend-code`)).location).toContain('done=code-sent')
    const [first, second] = house.codeTexts().map(({ text }) => /#(\d+)$/.exec(text)?.[1])
    expect(second).toBe(first)
    expect((await flow.code(house.lastCode(PHONES[2]))).status).toBe(303)
    expect(await helen.text(url)).not.toContain('A sign-in waits')
  })
})

describe('the audit page', () => {
  test('finds people by the names it shows', async () => {
    const to = await helen.text('/admin/audit?account=paul')
    expect(to).toBe(
      await helen
        .text(`/admin/audit?account=${paul.id}`)
        .then((text) => text.replace(paul.id, 'paul')),
    )
    expect(await helen.text('/admin/audit?actor=helen&type=bypass-code')).toContain(
      'bypass-code.issued',
    )
    expect(await helen.text('/admin/audit?actor=paul&type=bypass-code')).toContain(
      'Nothing like that',
    )
  })

  test('finds events, names people, and hands the same events over as a file', async () => {
    const text = await helen.text(`/admin/audit?type=bypass-code&account=${paul.id}`)
    expect(text).toMatch(
      /bypass-code\.used .*bypass-code\.approved ada paul .*bypass-code\.issued helen paul/,
    )
    expect(text).toContain('reason phone at home')
    expect(text).not.toMatch(/UTC password\.right/)
    const all = await helen.get('/admin/audit')
    const next =
      /class="button second" href="(\/admin\/audit\?[^"]+)">Next/.exec(all.html)?.[1] ?? ''
    expect((await helen.get(next.replaceAll('&amp;', '&'))).status).toBe(200)
    expect((await helen.get('/admin/audit?cursor=forged')).status).toBe(400)
    expect(await helen.text('/admin/audit?actor=nobody')).toContain('Nothing like that happened')
    const file = await helen.get(`/admin/audit/export?type=bypass-code&format=csv`)
    expect(file.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(file.html.split('\r\n')).toHaveLength(5)
  })

  test('is nobody’s who has no role', async () => {
    const flow = createFlow(house)
    await signIn(house, flow, await flow.request('/admin'), 'paul', { phone: PHONES[2] })
    for (const path of ['/admin/audit', '/admin/audit/export'])
      expect((await flow.request(path)).status, path).toBe(403)
  })
})
