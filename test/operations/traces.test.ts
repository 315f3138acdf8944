import { afterAll, beforeAll, expect, test } from 'vitest'
import { killChildren } from '../support/children.ts'
import { writings } from '../support/dump.ts'
import { startFakeCollector, type TracedSpan } from '../support/fake-collector.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PASSWORD, PHONES, startHouse } from '../support/house.ts'
import { startInstance } from '../support/instance.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const SERVER = 2
const CLIENT = 3

let house: House
let app: { id: string; secret: string }

beforeAll(async () => {
  house = await startHouse()
  app = await house.addClient('app')
  await house.addAccount('alexandra')
})
afterAll(async () => {
  await killChildren()
  await house.stop()
})

const named = (spans: readonly TracedSpan[], name: string) =>
  spans.filter((span) => span.name === name)

test('a sign-in is told to the collector: requests, statements, the gateway, and nothing of the person (LOG-02)', async () => {
  const collector = await startFakeCollector()
  const instance = await startInstance(house, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20collector-key',
    OTEL_SERVICE_NAME: 'login',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    TRUST_PROXY: '1',
  })
  const flow = createFlow(house, {
    client: app,
    url: instance.url,
    headers: { traceparent: `00-${TRACE}-${PARENT}-01` },
  })
  const query = await flow.complete('alexandra')
  const { status, body } = await flow.redeem(query.get('code') ?? '')
  expect(status).toBe(200)
  const untraced = await fetch(`${instance.url}/jwks`, {
    headers: { traceparent: `00-${TRACE}-${PARENT}-00` },
  })
  expect(untraced.status).toBe(200)
  instance.process.kill('SIGTERM')
  expect(await instance.ended).toBe(0)
  await collector.close()

  expect(collector.faults).toEqual([])
  for (const { path, headers } of collector.deliveries) {
    expect(path).toBe('/v1/traces')
    expect(headers.authorization).toBe('Bearer collector-key')
  }
  for (const resource of collector.resources)
    expect(resource).toEqual({
      'service.name': 'login',
      'service.version': expect.any(String),
      'service.instance.id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'deployment.environment.name': 'test',
    })

  const { spans } = collector
  const [login] = named(spans, 'POST /interaction/:uid/login')
  expect(login).toMatchObject({
    traceId: TRACE,
    parentSpanId: PARENT,
    kind: SERVER,
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/interaction/:uid/login',
      'http.response.status_code': 303,
      'server.address': 'localhost',
    },
  })
  // The same id as in the answer and the log.
  const request = login?.attributes['sallyport.request']
  const lines = instance.out.split('\n').filter((line) => line.includes(String(request)))
  expect(lines.some((line) => line.includes(`"trace":"${TRACE}"`))).toBe(true)
  expect(lines.some((line) => line.includes('message accepted'))).toBe(true)

  const [gateway] = named(spans, 'POST 127.0.0.1')
  expect(gateway).toMatchObject({
    parentSpanId: login?.spanId,
    kind: CLIENT,
    attributes: { 'http.response.status_code': 201 },
  })
  const statements = spans.filter((span) => 'db.query.text' in span.attributes)
  expect(statements.length).toBeGreaterThan(10)
  const ids = new Set(spans.map(({ spanId }) => spanId))
  for (const { kind, parentSpanId = '', attributes } of statements) {
    expect(kind).toBe(CLIENT)
    expect(ids).toContain(parentSpanId)
    expect(attributes).toMatchObject({ 'db.system.name': 'postgresql' })
    expect(String(attributes['db.query.text'])).not.toMatch(/\+46/)
  }
  expect(named(spans, 'POST /token')).toHaveLength(1)
  // Whoever began it said that it is not to be kept.
  expect(named(spans, 'GET /jwks')).toEqual([])

  const everything = collector.deliveries.map((delivery) => delivery.body.toString()).join('\n')
  const canaries = [
    'alexandra',
    PASSWORD,
    PHONES[0].slice(1),
    house.lastCode(),
    app.secret,
    house.gateway.apiKey,
    house.gateway.deviceId,
    String(query.get('code')),
    String(body.access_token),
    String(house.variables.ENCRYPTION_KEYS),
    new URL(flow.path, house.issuer).pathname.split('/')[2] ?? '',
    ...(await flow.jar.serialize()).cookies.map(({ value }) => String(value)),
  ]
  // Six digits stand in times and ids by chance.
  for (const canary of canaries)
    for (const written of writings(canary))
      if (written.length > 6) expect(everything.includes(written), canary).toBe(false)
  expect(everything).not.toMatch(new RegExp(`(?<![0-9a-f])${house.lastCode()}(?![0-9a-f])`))
}, 90_000)

test('by default as protobuf, from strangers no trace is gone on with, and a collector that is away does no harm', async () => {
  const collector = await startFakeCollector()
  const [sent, away] = await Promise.all([
    startInstance(house, {
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    }),
    startInstance(house, {
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:9/v1/traces',
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '300',
    }),
  ])
  for (const { url } of [sent, away])
    await fetch(`${url}/jwks`, { headers: { traceparent: `00-${TRACE}-${PARENT}-01` } })
  for (const instance of [sent, away]) instance.process.kill('SIGTERM')
  expect(await Promise.all([sent.ended, away.ended])).toEqual([0, 0])
  await collector.close()
  expect(collector.faults).toEqual([])
  const [delivery] = collector.deliveries
  expect(delivery?.headers['content-type']).toBe('application/x-protobuf')
  expect(delivery?.body.includes('GET /jwks')).toBe(true)
  expect(delivery?.body.includes(Buffer.from(TRACE, 'hex'))).toBe(false)
  expect(away.out).toContain('traces were not taken by the collector')
}, 90_000)
