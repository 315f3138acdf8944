import type { SMTPPoolOptions } from 'nodemailer'
import type { Log } from '../log.ts'
import type { Outbox } from './gateways/outbox.ts'

export interface Mail {
  /** ours, the same for every try, so that a mail that arrives twice can be told for one */
  id: string
  to: string
  subject: string
  /** plain text: nothing to click on but addresses, nothing that tells us whether it was read */
  text: string
}

/** `refused`: this mail won't be taken at a later try either. `failed`: it may. */
export type MailOutcome = 'accepted' | 'refused' | 'failed'

/** When a `smtp:` server has to speak TLS. Certificates are checked wherever it does. */
export type MailTls = 'always' | 'where-offered' | 'never'

export interface MailerSettings {
  /** `smtp:` or `smtps:`, with user and password; without it mails go to the outbox, or nowhere */
  smtpUrl: string | undefined
  from: { name: string; address: string } | undefined
  tls: MailTls
  /** how long the server may take for each thing we wait for */
  timeoutMs: number
}

/** Longest wait for a mail server, in the running system. */
export const MAIL_TIMEOUT_MS = 10_000

/** One plain address: no list, no group, no name, no line break that would start a header of its own. */
const ADDRESS = /^[^\s<>()[\]\\,;:"@\p{C}]+@[^\s<>()[\]\\,;:"@\p{C}]+$/u

export type Mailer = ReturnType<typeof createMailer>

/**
 * Sends mails by SMTP, over a few connections that are kept open.
 *
 * @param outbox where mails go without a server, in development; null in production
 */
export function createMailer({
  settings,
  outbox,
  log,
}: {
  settings: MailerSettings
  outbox: Outbox | null
  log: Log
}) {
  const { smtpUrl, from, timeoutMs } = settings
  const opening = smtpUrl && from ? openTransport(smtpUrl, settings) : null
  // If it fails, each mail does; there may be none.
  opening?.catch(() => {})

  async function post({ id, to, subject, text }: Mail): Promise<void> {
    const transport = await opening
    if (!transport || !from) throw new Error('no mail server')
    await transport.sendMail({
      from,
      to: { name: '', address: to },
      subject: oneLine(subject),
      text,
      messageId: `<${id}@${from.address.split('@')[1]}>`,
      // No answer by a machine, and none to it (RFC 3834).
      headers: { 'Auto-Submitted': 'auto-generated' },
      xMailer: false,
      disableFileAccess: true,
      disableUrlAccess: true,
      // The time-outs of a connection start anew with each byte that comes; this one doesn't.
      signal: AbortSignal.timeout(2 * timeoutMs),
    })
  }

  return {
    canMail: opening !== null || outbox !== null,

    /** Never throws. */
    async send(mail: Mail): Promise<MailOutcome> {
      if (!ADDRESS.test(mail.to)) {
        log.warn({ mail: mail.id, fault: 'address' }, 'mail refused')
        return 'refused'
      }
      if (!opening) {
        outbox?.keepMail({ to: mail.to, subject: oneLine(mail.subject), text: mail.text })
        return outbox ? 'accepted' : 'failed'
      }
      const began = performance.now()
      const passed = () => Math.round(performance.now() - began)
      try {
        await post(mail)
        log.info({ mail: mail.id, durationMs: passed() }, 'mail accepted')
        return 'accepted'
      } catch (error) {
        const fault = faultOf(error)
        const outcome = fault.recipient ? 'refused' : 'failed'
        const { name, status } = fault
        const level = name === 'EAUTH' ? 'error' : 'warn'
        log[level]({ mail: mail.id, fault: name, status, durationMs: passed() }, `mail ${outcome}`)
        return outcome
      }
    },

    /** Whether the server answers and takes our log-in, without sending anything. */
    async check(): Promise<{ ok: boolean; detail: string }> {
      if (!opening) return { ok: false, detail: 'there is no mail server' }
      try {
        await (await opening).verify()
        return { ok: true, detail: 'the server answers and takes the log-in' }
      } catch (error) {
        const { name, status } = faultOf(error)
        return {
          ok: false,
          detail: `the server didn't let us in: ${[name, status].join(' ').trim()}`,
        }
      }
    },

    /** Lets go of the connections. Mails on their way are finished first. */
    async close(): Promise<void> {
      const transport = await opening?.catch(() => null)
      transport?.close()
    },
  }
}

/** Its code is loaded where there is a mail server, and costs nobody else its memory. */
async function openTransport(smtpUrl: string, settings: MailerSettings) {
  const { createTransport } = await import('nodemailer')
  const transport = createTransport(transportOptions(smtpUrl, settings))
  // A connection that breaks between two mails concerns none of them; the next one opens another.
  transport.on('error', () => {})
  return transport
}

/** Taken apart here and not by nodemailer, which lets a URL switch off what keeps mails safe. */
function transportOptions(smtpUrl: string, { tls, timeoutMs }: MailerSettings) {
  const { protocol, hostname, port, username, password } = new URL(smtpUrl)
  const secure = protocol === 'smtps:'
  return {
    pool: true,
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port ? Number(port) : secure ? 465 : 587,
    secure,
    requireTLS: !secure && tls === 'always',
    ignoreTLS: !secure && tls === 'never',
    ...(username && {
      auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
    }),
    connectionTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    socketCloseTimeout: 1000,
    // Before the server closes an idle connection on us, amid the next mail.
    idleTimeout: 10_000,
    // Trying again is the notices' business, which remember it.
    maxRequeues: 0,
  } satisfies SMTPPoolOptions
}

interface Fault {
  name: string
  /** of SMTP */
  status: number | undefined
  /** refused for good for whom it is to; any other refusal is mended by the operator, or passes */
  recipient: boolean
}

/** What may be logged of an error: what the server wrote may quote the mail or name its reader. */
function faultOf(error: unknown): Fault {
  const of = (name: string): unknown => (error instanceof Error ? Reflect.get(error, name) : null)
  const name = [of('originalCode'), of('code')].find((code) => typeof code === 'string')
  const status = of('responseCode')
  return {
    name: typeof name === 'string' && /^[A-Z0-9_]{1,40}$/.test(name) ? name : 'unknown',
    status: typeof status === 'number' ? status : undefined,
    recipient: of('permanent') === true && of('command') === 'RCPT TO',
  }
}

function oneLine(text: string): string {
  return text.replace(/[\s\p{C}]+/gu, ' ').trim()
}
