import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createOutbound, type Outbound, type Resolve } from '../../src/outbound/outbound.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'

const PUBLIC = '93.184.215.14'

/** DNS as somebody else may run it: every name leads to what its first label says, and `rebind` changes its mind. */
let rebound = 0
const resolve: Resolve = async (host) => {
  const answers: Record<string, readonly string[]> = {
    hooks: [PUBLIC, '2606:2800:21f:cb07:6820:80da:af6b:8b2c'],
    inside: ['10.1.2.3'],
    half: [PUBLIC, '127.0.0.1'],
    mapped: ['::ffff:127.0.0.1'],
    translated: ['64:ff9b::7f00:1'],
    zone: ['fe80::1%eth0'],
    nothing: [],
    rebind: rebound++ === 0 ? [PUBLIC] : ['127.0.0.1'],
  }
  const found = answers[host.split('.')[0] ?? '']
  if (!found) throw Object.assign(new Error('unknown'), { code: 'ENOTFOUND' })
  return found
}

let receiver: Receiver
const opened: Outbound[] = []
function outbound(trusted: string[] = []): Outbound {
  const made = createOutbound({ trustedHosts: new Set(trusted), resolve, timeoutMs: 300 })
  opened.push(made)
  return made
}
const post = (by: Outbound, url: string) => by.post(url, { headers: {}, body: '{}' })
/** Why nothing is fetched: for what the address says, or for what its name leads to; never what a connection says. */
const refusal = (by: Outbound, url: string) =>
  by.fetch(url).then(
    ({ status }) => `answered ${status}`,
    ({ name, message }: Error) => (name === 'LeadsInside' ? name : message),
  )

beforeAll(async () => {
  receiver = await startReceiver()
})
beforeEach(() => {
  rebound = 0
  receiver.reset()
})
afterAll(async () => {
  await Promise.all(opened.map((one) => one.close()))
  await receiver.close()
})

/** Each would reach this machine, its network or its cloud, or hides where it leads. */
const HOSTILE = [
  'https://127.0.0.1/',
  'https://127.1/',
  'https://127.0.0.1./',
  'https://2130706433/',
  'https://0x7f000001/',
  'https://0x7f.0.0.1/',
  'https://0177.0.0.1/',
  'https://017700000001/',
  'https://１２７.０.０.１/',
  'https://127%2e0.0.1/',
  'https://0.0.0.0/',
  'https://0/',
  'https://10.0.0.1/',
  'https://172.31.255.255/',
  'https://192.168.1.1/',
  'https://100.64.0.1/',
  'https://100.100.100.200/latest/meta-data/',
  'https://169.254.169.254/latest/meta-data/',
  'https://168.63.129.16/',
  'https://192.0.0.192/',
  'https://198.18.0.1/',
  'https://224.0.0.1/',
  'https://255.255.255.255/',
  'https://[::]/',
  'https://[::1]/',
  'https://[::127.0.0.1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:a00:1]/',
  'https://[::ffff:0:7f00:1]/',
  'https://[64:ff9b::169.254.169.254]/',
  'https://[64:ff9b:1::a00:1]/',
  'https://[2002:7f00:1::]/',
  'https://[2001:0:7f00:1::]/',
  'https://[fe80::1]/',
  'https://[fe80::1%25eth0]/',
  'https://[fec0::1]/',
  'https://[fd00:ec2::254]/',
  'https://[ff02::1]/',
  'https://[4000::1]/',
  'https://localhost/',
  'https://LOCALHOST/',
  'https://localhost./',
  'https://app.localhost/',
  'https://metadata.google.internal/computeMetadata/v1/',
  'https://printer.local/',
  'https://database/',
  'https://hooks.example./',
  'http://hooks.example/',
  'ftp://hooks.example/',
  'file:///etc/passwd',
  'gopher://hooks.example/',
  'javascript:alert(1)',
  'https://user:password@hooks.example/',
  'https://user@hooks.example/',
  'https://hooks.example\\@127.0.0.1/',
  'https://hooks.example/a\nb',
  ' https://hooks.example/',
  'https://hooks.example/#fragment',
  'https://',
  '//hooks.example/',
  '',
  `https://hooks.example/${'a'.repeat(2048)}`,
  'https://inside.example/',
  'https://half.example/',
  'https://mapped.example/',
  'https://translated.example/',
  'https://zone.example/',
  'https://nothing.example/',
  'https://unknown.example/',
]

describe('requests to addresses that others chose (OIDC-25, OIDC-24)', () => {
  test.each(HOSTILE)('%j is refused when it is given, and when it is used', async (url) => {
    const guarded = outbound()
    expect(await guarded.check(url)).toMatch(/^must /)
    expect(await post(guarded, url)).toEqual({ problem: expect.any(String) })
    expect(await refusal(guarded, url)).toMatch(/^(the URL must .+|LeadsInside|unknown)$/)
  })

  test.each([
    'https://hooks.example/sallyport?token=1',
    'https://hooks.example:8443/',
    `https://${PUBLIC}/`,
    'https://[2606:4700:4700::1111]/',
    'https://internal.example.com/',
    'https://xn--bcher-kva.example/',
  ])('%s is fine', async (url) => {
    const guarded = createOutbound({ trustedHosts: new Set(), resolve: async () => [PUBLIC] })
    opened.push(guarded)
    expect(await guarded.check(url)).toBeUndefined()
  })

  test('a name that leads inside by the time it is used reaches nothing there', async () => {
    const reached: unknown[] = []
    const server = createServer((socket) => void reached.push(socket.destroy()))
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const guarded = outbound()
    const url = `https://rebind.example:${port}/`
    expect(await guarded.check(url)).toBeUndefined()
    expect(await post(guarded, url)).toEqual({
      problem: 'the URL must not lead inside: its name has an address of a private network',
    })
    expect(await refusal(guarded, url)).toBe('LeadsInside')
    expect(reached).toEqual([])
    await new Promise((closed) => server.close(closed))
  })

  test('hosts that the operator named may be inside, and no others', async () => {
    const trusting = outbound(['127.0.0.1', 'database'])
    expect(await trusting.check(receiver.url)).toBeUndefined()
    expect(await post(trusting, receiver.url)).toEqual({ status: 200 })
    expect(await refusal(trusting, receiver.url)).toBe('answered 200')
    expect(await trusting.check(`http://0x7f.1:${receiver.port}/`)).toBeUndefined()
    for (const url of ['http://127.0.0.2/', 'https://inside.example/', 'http://localhost/'])
      expect(await trusting.check(url), url).toMatch(/^must /)
  })

  test('redirects are not followed, and an answer without end is left', async () => {
    const trusting = outbound(['127.0.0.1'])
    receiver.answer = 302
    receiver.location = '/elsewhere'
    expect(await post(trusting, receiver.url)).toEqual({ status: 302 })
    receiver.answer = 307
    receiver.location = 'http://169.254.169.254/latest/meta-data/'
    expect(await post(trusting, receiver.url)).toEqual({ status: 307 })
    expect(await refusal(trusting, receiver.url)).toBe('answered 307')
    receiver.answer = 'drip'
    expect(await post(trusting, receiver.url)).toEqual({ status: 200 })
    receiver.answer = 'hang'
    expect(await post(trusting, receiver.url)).toEqual({ problem: 'no answer in time' })
    expect(receiver.requests.map(({ path }) => path)).toEqual(Array(5).fill('/hook'))
  })
})
