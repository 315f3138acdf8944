import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, burst, createFlow, type Flow } from './support/flow.ts'
import { type House, startHouse } from './support/house.ts'

const WRONG = ['111111', '222222', '333333', '444444', '555555', '666666', '777777']

describe.each(['one instance', 'two instances', 'a database set to repeatable read (CHL-25)'])(
  'in a burst on %s',
  (instances) => {
    let house: House
    let second: House | undefined
    let app: { id: string; secret: string }
    let people = 0

    beforeAll(async () => {
      house = await startHouse({
        prepare: async ({ db }) => {
          if (!instances.includes('repeatable')) return
          await sql`do $$ begin execute format('alter database %I set default_transaction_isolation = ''repeatable read''', current_database()); end $$`.execute(
            db,
          )
        },
      })
      if (instances === 'two instances') second = await startHouse({ beside: house })
      app = await house.addClient()
    })
    afterAll(async () => {
      await second?.stop()
      await house.stop()
    })

    /** Someone new, with a phone of their own, at the page that asks for the code. */
    async function atCode(): Promise<{ flow: Flow; phone: string; name: string }> {
      const phone = `+4670123${String(4600 + people)}`
      const name = `person${people++}`
      await house.addAccount(name, phone)
      const flow = createFlow(house, { client: app })
      await flow.toCode(name)
      return { flow, phone, name }
    }

    /** The same step from many sockets at once, spread over the instances. */
    function together(
      flow: Flow,
      count: number,
      step: (index: number) => string,
    ): Promise<Answer[]> {
      const urls = [house.url, ...(second ? [second.url] : [])]
      return burst(count, (index) => {
        const mine = createFlow(house, {
          client: app,
          jar: flow.jar,
          url: urls[index % urls.length] ?? house.url,
        })
        mine.path = flow.path
        mine.formToken = flow.formToken
        return mine.code(step(index))
      })
    }

    const challengesOf = (name: string) =>
      house.db
        .selectFrom('challenge')
        .innerJoin('account', 'account.id', 'challenge.account_id')
        .select(['attempts', 'passed_at', 'counter'])
        .where('account.username', '=', name)
        .execute()

    const failuresOf = async (name: string) => {
      const row = await house.db
        .selectFrom('second_factor')
        .innerJoin('account', 'account.id', 'second_factor.account_id')
        .select(['failures', 'locked_until'])
        .where('account.username', '=', name)
        .executeTakeFirstOrThrow()
      return { failures: row.failures, locked: row.locked_until !== null }
    }

    test('of 50 right codes exactly one passes (CHL-03, input 56)', async () => {
      for (let round = 0; round < 5; round++) {
        const { flow, phone } = await atCode()
        const right = house.lastCode(phone)
        const before = await sessions()
        const answers = await together(flow, 50, () => right)
        expect(answers.filter(({ location }) => location?.includes('/auth/'))).toHaveLength(1)
        const resumed = await Promise.all(
          answers
            .filter(({ status }) => status === 303)
            .map(({ location }) => flow.request(location ?? '')),
        )
        const codes = resumed.filter(({ location }) => location?.includes('code='))
        expect(codes.length).toBeLessThanOrEqual(1)
        expect(await sessions()).toBeLessThanOrEqual(before + 1)
      }
    })

    test('of 200 wrong codes at most 5 are judged, and the right one is refused after (CHL-04, input 57)', async () => {
      const { flow, phone, name } = await atCode()
      const right = house.lastCode(phone)
      await together(flow, 200, (index) => WRONG[index % WRONG.length] ?? '')
      expect(await challengesOf(name)).toMatchObject([{ attempts: 5, passed_at: null }])
      expect((await failuresOf(name)).failures).toBe(5)
      const late = await flow.code(right)
      expect(late.status).toBe(403)
      expect(await challengesOf(name)).toMatchObject([{ attempts: 5, passed_at: null }])
    })

    test('guesses that were all held up at the same lock are still at most 5 (CHL-04)', async () => {
      const { flow, name } = await atCode()
      let answers: Promise<Answer[]> | undefined
      await house.db.transaction().execute(async (trx) => {
        await trx.selectFrom('second_factor').selectAll().forUpdate().execute()
        answers = together(flow, 10, (index) => WRONG[index % WRONG.length] ?? '')
        await pause(500)
      })
      await answers
      expect(await challengesOf(name)).toMatchObject([{ attempts: 5 }])
      expect((await failuresOf(name)).failures).toBe(5)
    })

    test('guesses on many challenges of one account never pass the account’s own limit (CHL-05)', async () => {
      const { name, flow } = await atCode()
      const flows = [flow]
      for (let i = 0; i < 7; i++) {
        const another = createFlow(house, { client: app })
        await another.toCode(name)
        flows.push(another)
      }
      await Promise.all(flows.map((each) => together(each, 5, (index) => WRONG[index] ?? '')))
      const judged = (await challengesOf(name)).reduce((sum, { attempts }) => sum + attempts, 0)
      expect(judged).toBe(10)
      expect(await failuresOf(name)).toEqual({ failures: 10, locked: true })
    })

    test('challenges started together have counters of their own, one step apart (OTP-04, OTP-07)', async () => {
      const { name } = await atCode()
      const urls = [house.url, second?.url ?? house.url]
      await burst(20, async (index) => {
        const flow = createFlow(house, { client: app, url: urls[index % 2] ?? house.url })
        await flow.toCode(name)
      })
      const counters = (await challengesOf(name))
        .map(({ counter }) => BigInt(counter ?? 0))
        .sort((a, b) => (a < b ? -1 : 1))
      expect(counters).toEqual(Array.from({ length: 21 }, (_, index) => BigInt(index + 1)))
    })

    test('100 requests to send again give one text (input 62)', async () => {
      const { flow, phone } = await atCode()
      await house.db
        .updateTable('challenge')
        .set({ last_sent_at: new Date(Date.now() - 60_000) })
        .execute()
      const sent = () => house.gateway.messages.filter(({ to }) => to === phone).length
      const before = sent()
      const answers = await burst(100, () => flow.step('resend'))
      expect(answers.filter(({ status }) => status === 303)).toHaveLength(1)
      expect(answers.filter(({ status }) => status === 429)).toHaveLength(99)
      expect(sent()).toBe(before + 1)
    })

    test('tries of one name beyond the limit are not judged (THR-01)', async () => {
      const { name } = await atCode()
      const answers = await burst(40, async (index) => {
        const flow = createFlow(house, {
          client: app,
          url: (index % 2 ? second?.url : undefined) ?? house.url,
        })
        await flow.begin()
        return flow.password(name, 'wrong password')
      })
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
      const { failures } = await house.db
        .selectFrom('sign_in_attempt')
        .select('failures')
        .orderBy('failures', 'desc')
        .executeTakeFirstOrThrow()
      expect(failures).toBe(10)
    })

    async function sessions(): Promise<number> {
      const { count } = await house.db
        .selectFrom('oidc_record')
        .select(({ fn }) => fn.countAll<string>().as('count'))
        .where('model', '=', 'Session')
        .executeTakeFirstOrThrow()
      return Number(count)
    }
  },
)

test('sends on two instances share every limit (THR-16)', async () => {
  const house = await startHouse({
    env: { SMS_LIMIT_GLOBAL_HOUR: '7', SMS_LIMIT_PHONE_HOUR: '100' },
  })
  const second = await startHouse({ beside: house })
  await house.addClient()
  await house.addAccount('alex')
  const answers = await burst(30, async (index) => {
    const flow = createFlow(house, { url: index % 2 ? second.url : house.url })
    await flow.begin()
    return flow.password('alex')
  })
  expect(house.codeTexts()).toHaveLength(7)
  expect(answers.filter(({ status }) => status === 303)).toHaveLength(7)
  expect(answers.filter(({ status }) => status === 503)).toHaveLength(23)
  await second.stop()
  await house.stop()
})
