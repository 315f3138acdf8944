import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterEach, expect, test } from 'vitest'
import { burst, createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'

let house: House

async function open(env: Record<string, string> = {}) {
  house = await startHouse({ env })
  await house.addClient()
  await house.addAccount('alex')
  return createFlow(house)
}

afterEach(() => house.stop())

test('a text that nobody confirmed is not said to be on its way', async () => {
  const flow = await open({ TEXTBEE_TIMEOUT_MS: '300' })
  house.gateway.mode = 'hang'
  await flow.toCode('alex')
  const page = await flow.page()
  expect(page.status).toBe(200)
  expect(page.html).toContain('nobody confirmed it')
})

test('a text that no gateway took is said not to be sent, and lets nobody in (GWY-06)', async () => {
  const flow = await open()
  house.gateway.mode = '5xx'
  await flow.toCode('alex')
  const page = await flow.page()
  expect(page.status).toBe(503)
  expect(page.html).toContain('We couldn’t send a text')
  expect(page.html).toContain('Try again')
})

test('a text that could not be recorded is not sent, and the page says so', async () => {
  const flow = await open()
  await sql`alter table message rename to cut`.execute(house.db)
  await flow.toCode('alex')
  await sql`alter table cut rename to message`.execute(house.db)
  expect((await flow.page()).html).toContain('We couldn’t send a text')
  expect(house.gateway.messages).toEqual([])
})

test('after a text that could not be sent, a burst of tries sends one (input 62)', async () => {
  const flow = await open()
  house.gateway.mode = '5xx'
  await flow.toCode('alex')
  house.gateway.mode = 'ok'
  const answers = await burst(9, () => flow.step('resend'))
  expect(answers.map(({ status }) => status).toSorted()).toEqual([303, ...Array(8).fill(429)])
  expect(house.codeTexts()).toHaveLength(1)
})

/** Lets everything pass but what the provider stores: the right code is taken, and its answer is lost. */
async function loseAnswer(work: () => Promise<unknown>): Promise<void> {
  await sql`
    create or replace function refuse() returns trigger language plpgsql as $$
      begin raise 'out of order' using errcode = '57014'; end $$;
    create trigger refuse before insert or update on oidc_record for each statement
      execute function refuse()`.execute(house.db)
  await work()
  await sql`drop trigger refuse on oidc_record`.execute(house.db)
}

test('a right code whose answer was lost works once more in the same browser (AVL-04)', async () => {
  const flow = await open()
  await flow.toCode('alex')
  await loseAnswer(async () => expect((await flow.code(house.lastCode())).status).toBe(503))
  const query = await flow.resume(await flow.code(house.lastCode()))
  expect(query.get('code')).toBeTruthy()
  expect(house.codeTexts()).toHaveLength(1)
})

test('a lost answer opens the door for no other digits, and not after starting again or expiry', async () => {
  const flow = await open()
  await flow.toCode('alex')
  const right = house.lastCode()
  await loseAnswer(() => flow.code(right))
  for (const wrong of ['000000', '111111', '222222', '333333', '444444']) {
    expect((await flow.code(wrong)).status).toBe(400)
  }
  expect((await flow.code(right)).status).toBe(400)

  const again = createFlow(house)
  await again.toCode('alex')
  await loseAnswer(() => again.code(house.lastCode()))
  await again.step('restart')
  expect((await again.code(house.lastCode())).status).toBe(400)

  const late = createFlow(house)
  await late.toCode('alex')
  await loseAnswer(() => late.code(house.lastCode()))
  house.moveClock(301)
  expect((await late.code(house.lastCode())).status).toBe(400)
})

test('a fault of ours after a right password is not held against the name (CHL-07)', async () => {
  const flow = await open()
  await flow.begin()
  await sql`alter table challenge rename to cut`.execute(house.db)
  for (let i = 0; i < 12; i++) expect((await flow.password('alex')).status).toBe(500)
  await sql`alter table cut rename to challenge`.execute(house.db)
  expect((await flow.password('alex')).status).toBe(303)
})

test('the first send failing late isn’t taken for the second, which arrived', async () => {
  const flow = await open({ OTP_RESEND_SECONDS: '1' })
  house.gateway.answerNext({ status: 500, body: { success: false }, afterMs: 3000 })
  await flow.toCode('alex')
  expect((await flow.step('resend')).status).toBe(303)
  await pause(2500)
  const page = await flow.page()
  expect(page.status).toBe(200)
  expect(page.html).toContain('We texted a code')
})

test('codes that are off for good are said to be, with whom to ask and no time to wait', async () => {
  const flow = await open()
  await flow.toCode('alex')
  await house.db.updateTable('second_factor').set({ disabled_at: new Date() }).execute()
  const page = await flow.page()
  expect(page.status).toBe(403)
  expect(page.html).toContain('Codes for your account are off')
  expect(page.headers.get('retry-after')).toBeNull()
  expect((await flow.code(house.lastCode())).html).toContain('Codes for your account are off')
})
