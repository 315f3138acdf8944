import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addAdmin, signInToConsole } from '../support/console.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'
import { addTraffic, pauseCountry, useBudget } from '../support/traffic.ts'

type Console = Awaited<ReturnType<typeof signInToConsole>>

let house: House
let ada: Console
let helen: Console
let otto: Console
beforeAll(async () => {
  house = await startHouse({
    env: { SMS_PRICES: '*=0.05', SMS_LIMIT_GLOBAL_HOUR: '200', SMS_LIMIT_PREFIX_UNANSWERED: '4' },
  })
  await addAdmin(house, 'ada', 'admin')
  await addAdmin(house, 'helen', 'helpdesk', PHONES[1])
  await addAdmin(house, 'otto', 'auditor', PHONES[2])
  ada = await signInToConsole(house, 'ada')
  helen = await signInToConsole(house, 'helen', { phone: PHONES[1] })
  otto = await signInToConsole(house, 'otto', { phone: PHONES[2] })
})
afterAll(() => house.stop())

describe('the console’s overview', () => {
  test('says where there is nothing yet', async () => {
    await house.db.deleteFrom('event_stat').execute()
    const text = await ada.text('/admin?range=month')
    expect(text).toContain('No sign-ins in the last month.')
    expect(text).toContain('Nothing needs a look.')
  })

  test('has the figures as tables, and what needs a look on top, with what to do', async () => {
    await addTraffic(house, 140, 40)
    await sql`delete from send_limit`.execute(house.db)
    await useBudget(house, 170)
    await pauseCountry(house, 'PL')
    await house.rooms.alerts.settle([
      { kind: 'country-paused', subject: 'PL', detail: { until: '2030-01-01T12:00:00.000Z' } },
      { kind: 'gateway-down', subject: 'twilio', detail: { failure: 'quota' } },
    ])
    const { html } = await ada.get('/admin?range=hour')
    expect(html).toContain('Gateway twilio is down')
    expect(html.indexOf('Gateway twilio is down')).toBeLessThan(html.indexOf('Poland (PL)'))
    expect(html.indexOf('Poland (PL)')).toBeLessThan(html.indexOf('Figures of the last'))
    expect(html).toContain('/admin/limits/pauses/PL/lift')
    expect(html).toContain('170 of 200')
    expect(html).toContain('class="meter high"')
    expect(html.match(/<canvas role="img" aria-label="[^"]+"/g)).toHaveLength(6)
    expect(html.match(/<details class="behind" open>/g)).toHaveLength(6)
    expect(html).toContain('estimates')
    // Whoever may not lift it is led to where it is looked at.
    expect((await helen.get('/admin')).html).not.toContain('/lift"')
  })
})

describe('messages', () => {
  test('say in words what became of them, by filter and page by page', async () => {
    const { html } = await helen.get('/admin/messages?state=failed')
    expect(html).toContain('not delivered')
    expect(html).toContain('There is no credit left at the gateway')
    expect(html).not.toContain('>delivered</span>')
    const first = (await otto.get('/admin/messages')).html
    const next = /href="(\/admin\/messages\?[^"]*cursor=[^"]+)"/.exec(first)?.[1] ?? ''
    const second = (await otto.get(next.replaceAll('&amp;', '&'))).html
    expect(second.match(/class="row message"/g)).toHaveLength(50)
    expect(second).not.toBe(first)
    expect(await otto.text('/admin/messages?country=Utopia')).toContain('Utopia is no country')
    expect((await otto.get("/admin/messages?state='--&gateway=../x")).status).toBe(200)
  })
})

describe('limits', () => {
  test('a pause is lifted by an admin alone, with a reason that is kept', async () => {
    for (const console of [helen, otto]) {
      expect((await console.get('/admin/limits')).html).not.toContain('/lift"')
      expect((await console.get('/admin/limits/pauses/PL/lift')).status).toBe(403)
    }
    const path = '/admin/limits/pauses/PL/lift'
    const unsaid = await ada.submit(path, { reason: '' })
    expect(unsaid).toMatchObject({ status: 400, html: expect.stringContaining('Say why') })
    await ada.submit(path, { reason: 'our own campaign' })
    const { rows } = await sql<{ actor: string; detail: unknown }>`
      select * from audit_event where type = 'country.resumed'`.execute(house.db)
    expect(rows).toHaveLength(1)
    expect(rows[0]?.actor).toMatch(/^admin:/)
    expect(JSON.stringify(rows)).toContain('our own campaign')
    expect(await ada.submit(path, { reason: 'again' })).toMatchObject({ status: 409 })
  })
})

describe('webhooks', () => {
  test('are an admin’s to make, an auditor’s to see, and nobody else’s', async () => {
    expect(await helen.text('/admin/alerts')).not.toContain('Webhooks')
    expect((await helen.get('/admin/alerts/webhooks/wh_x')).status).toBe(403)
    const otto_ = (await otto.get('/admin/alerts')).html
    expect(otto_).toContain('Webhooks')
    expect(otto_).not.toContain('/webhooks/new')
    expect((await otto.get('/admin/alerts/webhooks/new')).status).toBe(403)
  })

  test('are made with a secret that is shown once, edited, disabled and removed', async () => {
    const refused = await ada.submit('/admin/alerts/webhooks/new', {
      address: 'https://10.0.0.1/hook',
      budget: 'yes',
    })
    expect(refused.status).toBe(400)
    expect(refused.html).toContain('WEBHOOK_ALLOWED_HOSTS')
    expect(refused.html).toMatch(/name="budget"[^>]* checked/)
    expect(refused.html).not.toMatch(/name="lock-storm"[^>]* checked/)

    const made = await ada.submit('/admin/alerts/webhooks/new', {
      address: 'https://93.184.216.34/hook',
      description: 'Pager <b>',
      budget: 'yes',
    })
    expect(made.html).toContain('whsec_')
    const path = /href="(\/admin\/alerts\/webhooks\/wh_[\w-]+)"/.exec(made.html)?.[1] ?? ''
    const page = await otto.get(path)
    expect(page.html).toContain('Pager &lt;b&gt;')
    expect(page.html).toContain('A budget of texts is nearly used up')
    expect(page.html).not.toContain('whsec_')

    await ada.submit(`${path}/edit`, { address: 'https://93.184.216.34/hook', description: '' })
    await ada.submit(`${path}/disable`)
    expect(await ada.text(path)).toMatch(/disabled .* everything/s)
    expect((await ada.submit(`${path}/secret`, { reason: 'leaked' })).html).toContain('whsec_')
    await ada.submit(`${path}/remove`, { reason: 'not used' })
    expect((await ada.get(path)).status).toBe(404)
  })
})
