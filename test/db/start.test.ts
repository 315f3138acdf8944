import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { completeSecrets } from '../../src/config/development-keys.ts'
import { createLog } from '../../src/log.ts'
import { startServer } from '../../src/server.ts'
import { killChildren, startChild } from '../support/children.ts'
import { createTestDatabase } from '../support/database.ts'
import { rotateByEarlierVersion } from '../support/earlier-version.ts'
import { createFlow, type Flow } from '../support/flow.ts'
import { startForgetfulPooler } from '../support/forgetful-pooler.ts'
import { type House, startHouse } from '../support/house.ts'
import { startInstance } from '../support/instance.ts'
import { freePort } from '../support/ports.ts'
import { head } from '../support/raw.ts'
import { untilWaiting } from '../support/turns.ts'

const MAIN = 'src/main.ts'
let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse({ makesKeys: true })
  app = await house.addClient('app')
  await house.addAccount('alex')
})
afterAll(async () => {
  await killChildren()
  await house.stop()
})

async function jwksOf(url: string): Promise<Array<Record<string, unknown>>> {
  const { keys } = JSON.parse(await (await fetch(`${url}/jwks`)).text())
  return keys
}

test('two instances that start at once on an empty database both serve, and share their keys (AVL-18)', async () => {
  const database = await createTestDatabase('template1')
  const migrated: string[] = []
  const servers = await Promise.all(
    [0, 1, 2].map(async () => {
      const own = { PORT: String(await freePort()), DATABASE_URL: database.url }
      const variables = { ...house.variables, ...own }
      const { config, secrets } = readConfig(variables)
      return startServer({
        config,
        secrets: completeSecrets(config, secrets, () => {}),
        log: createLog('info', false, {
          write: (line) => void (line.includes('"migrated"') && migrated.push(line)),
        }),
      })
    }),
  )
  await Promise.all(servers.map(({ ready }) => ready))
  const all = await Promise.all(
    servers.map(({ address }) => jwksOf(`http://localhost:${address.port}`)),
  )
  expect(all[0]).toHaveLength(3)
  for (const keys of all) expect(keys).toEqual(all[0])
  expect(migrated.length).toBeGreaterThan(0)
  expect(new Set(migrated.map((line) => JSON.parse(line).migration)).size).toBe(migrated.length)
  await Promise.all(servers.map((server) => server.stop()))
  await database.destroy()
})

test('once it has started, a process gives back the memory that took', async () => {
  const traced = `import{setFlagsFromString}from'node:v8';setFlagsFromString('--trace-gc')`
  const options = `--import data:text/javascript,${encodeURIComponent(traced)}`
  const instance = await startInstance(house, { NODE_OPTIONS: options })
  await instance.says('low memory notification')
  expect((await fetch(`${instance.url}/readyz`)).status).toBe(200)
  instance.process.kill()
  expect(await instance.ended).toBe(0)
})

test('connections that begin without limits are told of at the start (AVL-06)', async () => {
  const told = ({ logged }: House) =>
    logged.filter((line) => line.includes('connections begin without limits'))
  const pooler = await startForgetfulPooler(house.database.url)
  const limitless = await startHouse({ beside: house, env: { DATABASE_URL: pooler.url } })
  expect(told(limitless).map((line) => JSON.parse(line))).toMatchObject([
    {
      level: 'warn',
      missing: [
        'default_transaction_isolation',
        'idle_in_transaction_session_timeout',
        'lock_timeout',
        'statement_timeout',
      ],
    },
  ])
  expect(told(house)).toEqual([])
  await limitless.stop()
  await pooler.close()
})

test('signing keys are sealed in the table, and published without their private parts (CRY-10)', async () => {
  const rows = await house.db.selectFrom('signing_key').selectAll().execute()
  expect(rows).toHaveLength(3)
  for (const { kid, private_jwk } of rows) {
    expect(private_jwk.toString('latin1')).not.toMatch(/"(d|kty|n|crv)"/)
    const place = { column: 'signing_key.private_jwk', row: kid }
    expect(JSON.parse(house.rooms.vault.open(private_jwk, place).toString())).toHaveProperty('d')
    expect(() => house.rooms.vault.open(private_jwk, { ...place, row: 'other' })).toThrow()
  }
  const published = await jwksOf(house.url)
  expect(published.map(({ kid }) => kid).toSorted()).toEqual(rows.map(({ kid }) => kid).toSorted())
  for (const key of published) {
    for (const part of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth'])
      expect(key).not.toHaveProperty(part)
    if (key.kty === 'RSA')
      expect(Buffer.from(String(key.n), 'base64url').length).toBeGreaterThanOrEqual(256)
    else expect(['P-256', 'Ed25519']).toContain(key.crv)
  }
})

test('a key that 0.4.0 left none of is made at the next start, and is then missed like the others (AVL-18, AVL-24)', async () => {
  const before = await house.db.selectFrom('signing_key').selectAll().execute()
  await rotateByEarlierVersion(house, { now: true })
  const next = await startHouse({ beside: house })
  expect(await jwksOf(next.url)).toHaveLength(3)
  await next.stop()
  const { signingKeys } = house.rooms
  await signingKeys.rotate()
  expect(await signingKeys.whyLost()).toBeUndefined()
  // The one that retires doesn't stand in for the one that was to follow it.
  for (const [algorithm, lost] of [
    ['EdDSA', 'EdDSA.'],
    ['ES256', 'ES256, EdDSA.'],
  ] as const) {
    await house.db
      .deleteFrom('signing_key')
      .where('algorithm', '=', algorithm)
      .where('retires_at', 'is', null)
      .execute()
    expect(await signingKeys.whyLost()).toContain(`: ${lost}`)
  }
  await house.db.deleteFrom('signing_key').execute()
  await house.db.insertInto('signing_key').values(before).execute()
})

describe('a start that can’t succeed ends with exit code 1 and a sentence', () => {
  test('with other encryption keys than the database was set up with (CRY-05)', async () => {
    const child = startChild(MAIN, [], {
      ...house.variables,
      PORT: String(await freePort()),
      ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    })
    expect(await child.ended).toBe(1)
    expect(child.err).toContain('ENCRYPTION_KEYS does not fit this database')
    expect(child.err).not.toContain('    at ')
    expect((await fetch(`${house.url}/readyz`)).status).toBe(200)
  })

  test.each([
    [
      'lost',
      sql`delete from signing_key`,
      /^Signing keys are gone from the database .*: RS256, ES256, EdDSA/,
    ],
    [
      'lost in part',
      sql`delete from signing_key where algorithm = 'RS256'`,
      /^Signing keys are gone from the database .*: RS256\./,
    ],
    [
      'spoilt',
      sql`update signing_key set private_jwk = set_byte(private_jwk, 20, 255 - get_byte(private_jwk, 20))`,
      /^The signing key \S+ can't be opened \(signing_key.private_jwk: changed or moved/,
    ],
    [
      'sealed with a key that is missing',
      sql`update signing_key set private_jwk = set_byte(private_jwk, 1, 255 - get_byte(private_jwk, 1))`,
      /^The signing key \S+ can't be opened \(.* not among ENCRYPTION_KEYS/,
    ],
  ])('with signing keys that are %s (AVL-24)', async (_, harm, sentence) => {
    const rows = await house.db.selectFrom('signing_key').selectAll().execute()
    await harm.execute(house.db)
    const start = { ...house.variables, PORT: String(await freePort()) }
    const child = startChild(MAIN, [], start)
    expect(await child.ended).toBe(1)
    expect(child.err).toMatch(sentence)
    // None is made in their place, and who runs goes on with those it has.
    const now = await house.db.selectFrom('signing_key').select('kid').execute()
    expect(rows.map(({ kid }) => kid)).toEqual(expect.arrayContaining(now.map(({ kid }) => kid)))
    expect(await jwksOf(house.url)).toHaveLength(3)
    await house.db.deleteFrom('signing_key').execute()
    await house.db.insertInto('signing_key').values(rows).execute()
  })

  test('on a port that is in use', async () => {
    const blocker = createServer()
    const port = await freePort()
    await new Promise<void>((resolve) => blocker.listen(port, '127.0.0.1', resolve))
    const taken = String(port)
    const starts: Array<[string, Record<string, string>]> = [
      ['PORT', { PORT: taken }],
      ['METRICS_PORT', { PORT: String(await freePort()), METRICS_PORT: taken }],
    ]
    const ends = starts.map(async ([variable, ports]) => {
      const child = startChild(MAIN, [], { ...house.variables, ...ports })
      expect(await child.ended).toBe(1)
      expect(child.err).toBe(
        `Port ${port} of 127.0.0.1 is in use by another program. End that one, or set ${variable} to another.\n`,
      )
    })
    await Promise.all(ends)
    blocker.close()
  })
})

describe('SIGTERM (AVL-10)', () => {
  test('lets a request that is being served end, and then the process, with exit code 0', async () => {
    const instance = await startInstance(house)
    const flow = createFlow(house, { client: app, url: instance.url })
    await flow.begin()
    // Kept for a balancer's next request, one of them with a body that is still coming after it was refused.
    const bodies = [0, 20_000].map((length) => {
      const socket = connect(Number(new URL(instance.url).port), '127.0.0.1')
      const form = { 'Content-Type': 'application/x-www-form-urlencoded', Connection: undefined }
      socket.write(head('POST', '/auth', { ...form, 'Content-Length': String(length) }))
      socket.write('x'.repeat(length / 2))
      return socket
    })
    for (const socket of bodies) {
      const [said] = await once(socket, 'data')
      expect(String(said)).toContain('\r\nKeep-Alive: timeout=65\r\n')
    }
    house.gateway.mode = 'hang'
    // The gateway doesn't answer, so this one is under way for a while.
    const answer = flow.password('alex')
    await pause(700)
    const began = performance.now()
    instance.process.kill('SIGTERM')
    await instance.says('"stopping"')
    bodies[1]?.write('x'.repeat(10_000))
    expect((await answer).status).toBe(303)
    expect(await instance.ended).toBe(0)
    expect(performance.now() - began).toBeLessThan(5000)
    house.gateway.reset()
    expect(instance.err).toBe('')
  })
})

describe('under load (AVL-10)', () => {
  const tokens = async () =>
    (
      await house.db
        .selectFrom('oidc_record')
        .select('key')
        .where('model', '=', 'AccessToken')
        .execute()
    ).length

  test.each([
    ['SIGTERM', [200, 200, 200, 200, undefined, undefined]],
    ['SIGKILL', [200, 200, undefined, undefined, undefined, undefined]],
  ] as const)(
    '%s leaves no code half used: what was answered holds, the rest can be done again or is taken back',
    async (signal, expected) => {
      const starting = startInstance(house)
      const codes: Array<{ flow: Flow; code: string }> = []
      while (codes.length < expected.length) {
        const flow = createFlow(house, { client: app })
        codes.push({ flow, code: (await flow.complete('alex')).get('code') ?? '' })
      }
      const instance = await starting
      const before = await tokens()
      const redeemed = codes.map(({ flow, code }) => () => {
        flow.url = instance.url
        return flow.redeem(code).catch(() => undefined)
      })
      const begin = (from: number) => redeemed.slice(from, from + 2).map((redeem) => redeem())
      const answered = await Promise.all(begin(0))
      const { underWay } = await house.db.transaction().execute(async (trx) => {
        await sql`lock table oidc_record in exclusive mode`.execute(trx)
        const underWay = begin(2)
        await untilWaiting(house, 1)
        instance.process.kill(signal)
        await (signal === 'SIGTERM' ? instance.says('"stopping"') : instance.ended)
        return { underWay }
      })
      const answers = [
        ...answered,
        ...(await Promise.all(underWay)),
        ...(await Promise.all(begin(4))),
      ]
      expect(answers.map((answer) => answer?.status)).toEqual(expected)
      expect(await instance.ended).toBe(signal === 'SIGTERM' ? 0 : signal)

      let given = answers.filter((answer) => answer).length
      for (const [i, { flow, code }] of codes.entries()) {
        if (answers[i]) continue
        flow.url = house.url
        const { status, body } = await flow.redeem(code)
        if (status === 200) given++
        else {
          // It was sent to the database already. Those that came too late weren't.
          expect(i).toBeLessThan(4)
          expect([status, body.error]).toEqual([400, 'invalid_grant'])
        }
      }
      // Each that lives is somebody's.
      expect(await tokens()).toBe(before + given)
    },
  )
})

test('told to stop, it says so at once at /readyz, serves on for DRAIN_SECONDS, and keeps no connection (AVL-10)', async () => {
  const instance = await startInstance(house, { DRAIN_SECONDS: '2' })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = async (path: string) => {
    const [answer] = await once(get(`${instance.url}${path}`, { agent }), 'response')
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk)
    const { statusCode: status, headers } = answer
    return { status, connection: headers.connection, body: Buffer.concat(chunks).toString() }
  }
  expect(await ask('/readyz')).toMatchObject({ status: 200, connection: 'keep-alive' })
  instance.process.kill('SIGTERM')
  await instance.says('"stopping"')
  const ready = await ask('/readyz')
  expect(ready).toMatchObject({ status: 503, connection: 'close' })
  expect(JSON.parse(ready.body)).toEqual({
    error: 'temporarily_unavailable',
    error_description: 'stopping; others take over',
  })
  // Whoever comes meanwhile is served all the same.
  expect(await ask('/healthz')).toMatchObject({ status: 200, connection: 'close' })
  expect(await ask('/jwks')).toMatchObject({ status: 200, connection: 'close' })
  expect(await instance.ended).toBe(0)
  agent.destroy()
  await expect(fetch(instance.url)).rejects.toThrow()
})

test('an error that nothing caught is logged without what it quotes, and ends the process in good order (AVL-14)', async () => {
  const fault =
    "process.on('SIGUSR2', () => { Promise.reject(new Error('no room for +46701234567')) })"
  const instance = await startInstance(house, {
    NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(fault)}"`,
  })
  instance.process.kill('SIGUSR2')
  expect(await instance.ended).toBe(1)
  expect(instance.err).toBe('')
  const lines = instance.out.split('\n').filter((line) => line.includes('"fatal"'))
  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    msg: 'an error that nothing caught',
    error: { name: 'Error', message: 'no room for [digits]' },
  })
  expect(instance.out).toContain('"signal":"fault"')
})

test('a first start without any configuration serves from the embedded database, and a kill -9 does no harm', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sallyport-start-'))
  const port = String(await freePort())
  let keys: unknown
  for (let round = 0; round < 2; round++) {
    const child = startChild(MAIN, [], { DATA_DIR: dataDir, PORT: port })
    await child.says('ready')
    const now = await jwksOf(`http://localhost:${port}`)
    expect(now).toEqual(keys ?? now)
    keys = now
    child.process.kill('SIGKILL')
    await child.ended
  }
  rmSync(dataDir, { recursive: true, force: true })
})
