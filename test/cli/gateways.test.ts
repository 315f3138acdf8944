import { createServer } from 'node:http'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkGateways, entriesOf } from '../../src/cli/gateway-checks.ts'
import { judgeTrial } from '../../src/cli/gateway-words.ts'
import { readConfig } from '../../src/config/config.ts'
import { databaseClock as clock } from '../../src/db/clock.ts'
import { createLog } from '../../src/log.ts'
import { createGatewayStates, gatewayStatesStatement } from '../../src/messaging/gateway-states.ts'
import { createOrders } from '../../src/messaging/orders.ts'
import { createReports } from '../../src/messaging/reports.ts'
import type { TrialStep } from '../../src/messaging/trials.ts'
import { createMetrics } from '../../src/metrics.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type FakeContract, type FakeGateway, startFakeGateway } from '../support/fake-gateway.ts'
import { GATEWAYAPI_TOKEN, gatewayApiRest } from '../support/fake-gatewayapi.ts'
import { ACCESS_KEY, fakeMessagebird } from '../support/fake-messagebird.ts'
import { SMSTOOLS_ID, SMSTOOLS_SECRET, smstoolsContract } from '../support/fake-smstools.ts'
import { listen } from '../support/fake-textbee.ts'
import { TEXTBEE_DEVICE, TEXTBEE_KEY, textbeeContract } from '../support/fake-textbee-contract.ts'
import { unindexedReads } from '../support/plans.ts'
import { freePort } from '../support/ports.ts'
import { createPlace, type Environment, type Place } from './command-line.ts'

const NUMBER = '+45 20 12 34 56'
const CALLBACK = 'https://login.example.com/webhooks/gateways'

/** Tells of every message asked for that its phone was switched off until it expired. */
const expiring: FakeContract = {
  ...gatewayApiRest,
  answer(request) {
    if (!request.path.startsWith('/rest/mtsms/')) return gatewayApiRest.answer(request)
    return { status: 200, body: { recipients: [{ dsnstatus: 'EXPIRED', dsnerrorcode: null }] } }
  },
}

let database: TestDatabase
let place: Place
const fakes: FakeGateway[] = []

async function start(contract: FakeContract): Promise<FakeGateway> {
  const fake = await startFakeGateway(contract)
  fakes.push(fake)
  return fake
}

beforeAll(async () => {
  database = await createTestDatabase()
  place = createPlace(database.url)
})
afterAll(async () => {
  place.remove()
  await Promise.all(fakes.map((fake) => fake.close()))
  await database.destroy()
})

function gatewayApi({ baseUrl }: { baseUrl: string }): Environment {
  return {
    ISSUER: 'https://login.example.com',
    SMS_GATEWAYS: 'gatewayapi',
    GATEWAYAPI_TOKEN,
    GATEWAYAPI_BASE_URL: baseUrl,
    GATEWAYAPI_WEBHOOK_SECRET: 'secret-of-its-webhook',
  }
}

/** Other tests fail by the same gateway at the same time, so that one may have to wait for its turn. */
const isStep = ({ step }: { step: string }) => step !== 'resting'

async function tryOut(name: string, env: Environment, ...more: string[]) {
  const { code, out, err } = await place.cli(
    ['gateway', 'test', name, NUMBER, '--json', ...more],
    '',
    env,
  )
  const json = JSON.parse(out || 'null')
  return { code, out, err, json: json && { ...json, steps: json.steps?.filter(isStep) } }
}

describe.concurrent('gateway list', { timeout: 90_000 }, () => {
  test('tells order, abilities, health, counts and credit, or leaves the gateways alone', async () => {
    const own = await createTestDatabase()
    const there = createPlace(own.url)
    const fake = await start(gatewayApiRest)
    const now = new Date()
    const insert = (
      state: 'refused' | 'unknown' | 'sent' | 'delivered' | 'expired',
      ageHours = 1,
    ) =>
      own.db
        .insertInto('message')
        .values({
          id: `${state}${ageHours}`,
          channel: 'sms',
          gateway: 'gatewayapi',
          parts: 1,
          state,
          created_at: new Date(now.getTime() - ageHours * 3_600_000),
          updated_at: now,
        })
        .execute()
    const env = {
      ...gatewayApi(fake),
      SMS_GATEWAYS: 'gatewayapi,outbox',
      SMS_ROUTES: 'US=outbox',
      VOICE_GATEWAYS: 'smstools',
      SMSTOOLS_CLIENT_ID: SMSTOOLS_ID,
      SMSTOOLS_CLIENT_SECRET: SMSTOOLS_SECRET,
      SMSTOOLS_BASE_URL: (await start({ ...smstoolsContract, answer: () => ({ status: 401 }) }))
        .baseUrl,
    }
    try {
      for (const state of ['refused', 'unknown', 'sent', 'delivered', 'expired'] as const)
        await insert(state)
      await insert('delivered', 25)
      await own.db
        .insertInto('gateway_state')
        .values({
          gateway: 'gatewayapi',
          failures: 7,
          openings: 3,
          open_until: new Date(now.getTime() + 60_000),
          failure: 'quota',
          detail: '0x0216',
          failed_at: now,
        })
        .execute()
      const [{ code, out }, plain] = await Promise.all([
        there.cli(['gateway', 'list', '--json'], '', env),
        there.cli(['gateway', 'list', '--no-check'], '', env),
      ])
      expect(code).toBe(0)
      const { gateways, ...orders } = JSON.parse(out)
      expect(orders).toEqual({
        texts: ['gatewayapi', 'outbox'],
        routes: { US: ['outbox'] },
        calls: ['smstools'],
      })
      expect(gateways.map(({ name }: { name: string }) => name)).toEqual([
        'gatewayapi',
        'outbox',
        'smstools',
      ])
      expect(gateways[0]).toMatchObject({
        can: { channels: ['sms'], encoding: 'by-driver', maxTextLength: 255 * 67, sandbox: false },
        reports: ['webhook', 'poll'],
        ownCodes: false,
        circuit: 'open',
        openUntil: new Date(now.getTime() + 60_000).toISOString(),
        lastFailure: { class: 'quota', detail: '0x0216', at: now.toISOString() },
        day: { accepted: 3, refused: 1, unknown: 1, delivered: 1, undelivered: 1 },
        check: { ok: true, credit: '1234.56 DKK' },
      })
      expect(gateways[1]).toMatchObject({ circuit: 'closed', lastFailure: null, reports: [] })
      expect(gateways[2]).toMatchObject({
        can: {
          channels: ['sms', 'voice'],
          voiceLanguages: ['en', 'nl', 'fr', 'de'],
          validity: null,
        },
        check: { ok: false },
      })

      expect(plain.code).toBe(0)
      expect(plain.out).toMatch(/^texts to US +outbox$/m)
      expect(plain.out).toMatch(/^ +circuit +open: left alone until 2/m)
      expect(plain.out).toContain('3 accepted (1 delivered, 1 not), 1 refused, 1 unknown')
      expect(plain.out).not.toContain('check')
      expect(fake.requests.map(({ path }) => path)).toEqual(['/rest/me'])
    } finally {
      there.remove()
      await own.destroy()
    }
  })

  test('a circuit whose time is over is half-open, and messages are found by their age', async () => {
    await database.db
      .insertInto('gateway_state')
      .values({
        gateway: 'bird',
        failures: 5,
        openings: 1,
        open_until: new Date(Date.now() - 1000),
        failure: 'transient',
        detail: 'http 503',
        failed_at: new Date(),
      })
      .execute()
    const [state] = await createGatewayStates({ db: database.db, clock }).list(['bird'])
    expect(state).toMatchObject({ circuit: 'half-open', lastFailure: { class: 'transient' } })
    const client = new Client({ connectionString: database.url })
    await client.connect()
    const { sql, parameters } = gatewayStatesStatement(clock, ['bird']).compile(database.db)
    expect(await unindexedReads(client, sql, parameters)).toEqual([])
    await client.end()
  })
})

describe.concurrent('gateway test', { timeout: 90_000 }, () => {
  test('shows each step up to the report that the server takes', async () => {
    const fake = await start(gatewayApiRest)
    const ended = place.cli(['gateway', 'test', 'gatewayapi', NUMBER], '', gatewayApi(fake))
    await expect.poll(() => fake.messages.length, { timeout: 60_000 }).toBe(1)
    const [message] = fake.messages
    const report = {
      providerId: message?.providerId ?? '',
      reference: message?.reference ?? '',
      state: 'delivered',
      key: 'report-1',
    } as const
    const { record } = createReports({
      db: database.db,
      clock,
      orders: createOrders({ texts: [], routes: new Map(), calls: [] }, []),
      metrics: createMetrics(),
      log: createLog('silent', false),
    })
    await expect.poll(() => record('gatewayapi', report)).toBe(true)
    const { code, out, err } = await ended
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const steps = out.split('\n').filter((line) => !line.startsWith('waiting'))
    expect(steps).toEqual([
      'texting ••• ••• 56 by gatewayapi',
      expect.stringMatching(/^checked {3}ok: .*\(credit: 1234.56 DKK\)$/),
      expect.stringMatching(/^handed {4}accepted, with an id to know it by, after \d+\.\d s$/),
      expect.stringMatching(/^report {4}delivered, by webhook, after \d+\.\d s$/),
      expect.stringMatching(/^delivered gatewayapi reported it delivered after \d+\.\d s\.$/),
      '',
    ])
    expect(message).toMatchObject({
      to: '+4520123456',
      text: 'Sallyport: this is a test message. You need not do anything.',
    })
    expect(fake.faults).toEqual([])
    const events = await database.db
      .selectFrom('audit_event')
      .select(['type', 'actor'])
      .where('type', '=', 'message.sent')
      .execute()
    expect(events[0]).toEqual({ type: 'message.sent', actor: 'command-line' })
  })

  test('asks a gateway that can be asked, and ends with 1 where the text did not arrive', async () => {
    const fake = await start(expiring)
    const { code, err, json } = await tryOut('gatewayapi', gatewayApi(fake))
    expect({ code, result: json.result, well: json.well }).toEqual({
      code: 1,
      result: 'undelivered',
      well: false,
    })
    expect(err).toMatch(/^gatewayapi took it, and reported: expired/)
    expect(json).toMatchObject({
      to: '••• ••• 56',
      callback: `${CALLBACK}/gatewayapi`,
      check: { ok: true, credit: '1234.56 DKK' },
      steps: [
        { step: 'answered', result: { outcome: 'accepted', providerId: true } },
        { step: 'moved', state: 'expired', by: 'poll' },
      ],
    })
  })

  test('tells why a gateway refused', async () => {
    const fake = await start(gatewayApiRest)
    fake.answerNext(
      { status: 200, body: { credit: 0, currency: 'DKK', id: 1 } },
      { status: 403, body: { code: '0x0216' } },
    )
    // Its settings are enough: no order names it.
    const env = { ...gatewayApi(fake), SMS_GATEWAYS: 'outbox' }
    const { code, err, json } = await tryOut('gatewayapi', env)
    expect(code).toBe(1)
    expect(json).toMatchObject({ result: 'refused', check: { credit: '0.00 DKK' } })
    expect(err).toMatch(/^gatewayapi refused it: class quota, 0x0216, http 403\. /)
  })

  test('calls, and says what to look at where no report can come', async () => {
    const fake = await start(smstoolsContract)
    const { code, json } = await tryOut(
      'smstools',
      {
        ISSUER: 'https://login.example.com',
        SMSTOOLS_CLIENT_ID: SMSTOOLS_ID,
        SMSTOOLS_CLIENT_SECRET: SMSTOOLS_SECRET,
        SMSTOOLS_BASE_URL: fake.baseUrl,
      },
      '--call',
    )
    expect({ code, result: json.result }).toEqual({ code: 0, result: 'accepted' })
    expect(json.sentence).toContain('set SMSTOOLS_WEBHOOK_SECRET')
    expect(json.sentence).toContain(`enter ${CALLBACK}/smstools`)
    expect(fake.messages).toMatchObject([
      { channel: 'voice', text: expect.stringMatching(/^Sallyport: this is a test call/) },
    ])
    expect(fake.faults).toEqual([])
  })

  test.each([
    ['entered there', {}, true, `${CALLBACK}/gatewayapi is entered at gatewayapi`],
    ['taken here', {}, false, 'gatewayapi is in none'],
    ['reachable', { ISSUER: 'http://localhost:3000' }, true, 'not an https address that others'],
    ['signed', { GATEWAYAPI_WEBHOOK_SECRET: '' }, false, 'set GATEWAYAPI_WEBHOOK_SECRET'],
  ])('where no report came, asks whether it is %s', (_, more, heard, words) => {
    const { config, secrets } = readConfig({
      ...gatewayApi({ baseUrl: 'https://x.test' }),
      ...more,
    })
    const [entry] = entriesOf(config, secrets)
    if (!entry) throw new Error('no gateway')
    const answered: TrialStep = {
      step: 'answered',
      reference: 'r',
      result: { outcome: 'accepted', providerId: 'p' },
      seconds: 1,
    }
    const trial = { steps: [answered], waitSeconds: 1, heard }
    expect(judgeTrial(config, entry, trial)).toMatchObject({
      result: 'accepted',
      well: true,
      sentence: expect.stringContaining(words),
    })
  })

  test('a gateway that makes codes sends one, and there it ends', async () => {
    const fake = await start(fakeMessagebird())
    const { code, json } = await tryOut('messagebird-verify', {
      MESSAGEBIRD_ACCESS_KEY: ACCESS_KEY,
      MESSAGEBIRD_BASE_URL: fake.baseUrl,
    })
    expect({ code, steps: json.steps.length }).toEqual({ code: 0, steps: 1 })
    expect(json.sentence).toContain('a code of its own')
    expect(fake.messages).toHaveLength(1)
    expect(fake.faults).toEqual([])
  })

  test('leaves a gateway alone while the others do', async () => {
    const fake = await start(textbeeContract)
    await database.db
      .insertInto('gateway_state')
      .values({
        gateway: 'textbee',
        failures: 5,
        openings: 6,
        open_until: new Date(Date.now() + 3_600_000),
        failure: 'transient',
        detail: 'http 503',
        failed_at: new Date(),
      })
      .execute()
    const env = {
      TEXTBEE_API_KEY: TEXTBEE_KEY,
      TEXTBEE_DEVICE_ID: TEXTBEE_DEVICE,
      TEXTBEE_BASE_URL: fake.baseUrl,
    }
    const { code, err, json } = await tryOut('textbee', env, '--wait', '0')
    expect({ code, result: json.result }).toEqual({ code: 1, result: 'not tried' })
    expect(err).toContain('did not come within 0 s')
    expect(fake.messages).toEqual([])
  })

  test.each([
    ['telnyx', ['--call'], 1, 'TELNYX_ACCOUNT_SID is missing'],
    ['pigeon', [], 1, 'There is no gateway "pigeon", only outbox, textbee,'],
    ['outbox', ['--wait', '901'], 2, 'from 0 to 900'],
  ])('%s %j ends with %i', async (name, more, code, words) => {
    const ended = await place.cli(['gateway', 'test', name, NUMBER, ...more])
    expect(ended).toMatchObject({ code, out: '', err: expect.stringContaining(words) })
  })
})

describe.concurrent('doctor', { timeout: 90_000 }, () => {
  async function doctor(env: Environment) {
    const { out } = await place.cli(['doctor', '--json'], '', env)
    const { checks }: { checks: Array<{ name: string; status: string; detail: string }> } =
      JSON.parse(out)
    return (name: string) => checks.find((check) => check.name === name)
  }

  test('asks gateways of every order, and tells what keeps reports away', async () => {
    const fake = await start(gatewayApiRest)
    const find = await doctor({
      ...gatewayApi(fake),
      ISSUER: `https://localhost:${await freePort()}`,
      SMS_GATEWAYS: 'outbox',
      SMS_ROUTES: 'DK=gatewayapi',
      VOICE_GATEWAYS: 'smstools',
      SMSTOOLS_CLIENT_ID: SMSTOOLS_ID,
      SMSTOOLS_CLIENT_SECRET: SMSTOOLS_SECRET,
      SMSTOOLS_BASE_URL: (await start(smstoolsContract)).baseUrl,
    })
    expect(find('gateway gatewayapi')).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('(credit: 1234.56 DKK)'),
    })
    expect(find('gateway smstools')?.status).toBe('ok')
    expect(find('reports outbox')).toBeUndefined()
    expect(find('reports smstools')).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('set SMSTOOLS_WEBHOOK_SECRET'),
    })
    expect(find('reports gatewayapi')).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining("reports can't arrive"),
    })
  })

  test('looks whether the callback address answers as ours does', async () => {
    const fake = await start(gatewayApiRest)
    const answers: Array<[status: number, body: string]> = [
      [404, '<html>Not found</html>'],
      [404, '{"error":"unknown-gateway"}'],
      [401, '{"error":"signature"}'],
    ]
    const asked: unknown[] = []
    const server = createServer((request, response) => {
      const [status, body] = answers[asked.push(request.url) - 1] ?? [500, '']
      response.writeHead(status).end(body)
    })
    const issuer = `http://127.0.0.1:${await listen(server)}`
    const { config, secrets } = readConfig({ ...gatewayApi(fake), ISSUER: issuer })
    try {
      const details: unknown[] = []
      for (const _ of answers) {
        const [, reports] = await checkGateways(config, secrets, Promise.resolve(true))
        details.push(reports?.detail)
      }
      expect(details).toEqual([
        expect.stringContaining('does the proxy in front pass it on?'),
        expect.stringContaining('restart it with the same settings'),
        expect.stringContaining('not an https address'),
      ])
      expect(new Set(asked)).toEqual(new Set(['/webhooks/gateways/gatewayapi']))
    } finally {
      server.close()
    }
  })
})
