import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** How the fake answers a recipient. */
export type SmtpMode =
  | 'ok'
  /** 550: there is no such box, and there never will be */
  | 'refuse'
  /** 450: not now */
  | 'defer'
  /** takes the whole mail and never says so */
  | 'hang'

export interface ReceivedMail {
  /** of the envelope */
  from: string
  to: string[]
  /** by name in lower case, decoded */
  headers: ReadonlyMap<string, string>
  text: string
  raw: string
}

export interface FakeSmtp {
  readonly url: string
  mode: SmtpMode
  readonly mails: ReceivedMail[]
  /** how often a recipient was named, whatever was answered */
  tries: number
  /** every way in which a mail broke what RFC 5321 and 5322 ask for, or what we promise of ours */
  readonly faults: string[]
  reset(): void
  close(): Promise<void>
}

const USER = 'sallyport'
const PASSWORD = 'p@ss/word: 100%'

/**
 * A real SMTP server on a free port of the loopback, which wants a log-in and looks at each mail closely.
 * @param starttls whether it offers TLS, with a certificate that nobody should trust
 */
export async function startFakeSmtp({ starttls = false } = {}): Promise<FakeSmtp> {
  const options: SMTPServerOptions = {
    logger: false,
    disabledCommands: starttls ? [] : ['STARTTLS'],
    allowInsecureAuth: true,
    disableReverseLookup: true,
    closeTimeout: 10,
    onAuth({ username, password }, _session, done) {
      const right = username === USER && password === PASSWORD
      done(right ? null : refusal(535, 'wrong log-in'), { user: username })
    },
    onRcptTo(_address, _session, done) {
      fake.tries += 1
      if (fake.mode === 'refuse') done(refusal(550, 'no such box'))
      else if (fake.mode === 'defer') done(refusal(450, 'come again later'))
      else done()
    },
    onData(stream, { envelope }, done) {
      buffer(stream).then((raw) => {
        if (fake.mode === 'hang') return
        const mail = readMail(raw.toString('latin1'))
        fake.faults.push(...mail.faults)
        const from = envelope.mailFrom ? envelope.mailFrom.address : ''
        const to = envelope.rcptTo.map(({ address }) => address)
        fake.mails.push({ from, to, ...mail })
        done()
      }, done)
    },
  }
  const server = new SMTPServer(options)
  server.on('error', () => {})
  const port = await listen(server.listen(0, '127.0.0.1'))
  const fake: FakeSmtp = {
    url: `smtp://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`,
    mode: 'ok',
    mails: [],
    tries: 0,
    faults: [],
    reset() {
      for (const list of [fake.mails, fake.faults]) list.length = 0
      fake.mode = 'ok'
      fake.tries = 0
    },
    async close() {
      await new Promise<void>((closed) => server.close(closed))
    },
  }
  return fake
}

/** A server that takes connections and says nothing at all. */
export async function startSilentServer(): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<{ destroy(): void }>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  const port = await listen(server.listen(0, '127.0.0.1'))
  return {
    port,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((closed) => server.close(closed))
    },
  }
}

async function listen(server: Server): Promise<number> {
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening on a port')
  return address.port
}

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}

const ONCE = ['from', 'to', 'subject', 'date', 'message-id', 'auto-submitted', 'content-type']

/** @param raw as it came over the wire, one character a byte */
function readMail(raw: string) {
  const faults: string[] = []
  if (/(?<!\r)\n|\r(?!\n)/.test(raw)) faults.push('a bare line break')
  const lines = raw.split('\r\n')
  if (lines.some((line) => line.length > 998)) faults.push('an overlong line')
  const [head = '', ...rest] = raw.split('\r\n\r\n')
  const fields = head.replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n')
  const headers = new Map<string, string>()
  for (const field of fields) {
    const [, name = '', value = ''] = /^([!-9;-~]+): (.*)$/.exec(field) ?? []
    const key = name.toLowerCase()
    if (headers.has(key)) faults.push(`two headers ${key}`)
    headers.set(key, decodeWords(value))
  }
  for (const name of ONCE) if (!headers.has(name)) faults.push(`no header ${name}`)
  for (const name of headers.keys())
    if (/^(cc|bcc|x-|list-|disposition-|return-receipt)/.test(name)) faults.push(`header ${name}`)
  if (!/^text\/plain; charset=utf-8/i.test(headers.get('content-type') ?? ''))
    faults.push('not plain text in UTF-8')
  const body = decodeBody(rest.join('\r\n\r\n'), headers.get('content-transfer-encoding') ?? '')
  return { faults, headers, text: body.replaceAll('\r\n', '\n'), raw }
}

function decodeBody(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8')
  if (encoding === 'quoted-printable') return unquote(body.replaceAll('=\r\n', ''))
  return Buffer.from(body, 'latin1').toString('utf8')
}

/** RFC 2047. */
function decodeWords(value: string): string {
  return value
    .replaceAll(/(?<=\?=)\s+(?==\?)/g, '')
    .replaceAll(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_word, how: string, text: string) =>
      how.toLowerCase() === 'b'
        ? Buffer.from(text, 'base64').toString('utf8')
        : unquote(text.replaceAll('_', ' ')),
    )
}

function unquote(text: string): string {
  const bytes = text.replaceAll(/=([0-9A-F]{2})/g, (_sign, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
