import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { assertTextsFit } from '../brand.ts'
import { type Config, ConfigError, readConfig, type Secrets } from '../config/config.ts'
import type { CompleteSecrets } from '../config/development-keys.ts'
import { environment } from '../config/environment.ts'
import { isLoopbackHost } from '../config/shapes.ts'
import { createLanguages, loadCatalogues } from '../languages/languages.ts'
import { createLog } from '../log.ts'
import { requestJson } from '../messaging/http.ts'
import { createMailer, MAIL_TIMEOUT_MS } from '../messaging/mailer.ts'
import { attempt, type Check, failed, ok, warning } from './checks.ts'
import { checkDatabase } from './database-checks.ts'
import { explain } from './explain.ts'
import { checkGateways } from './gateway-checks.ts'
import { type Outcome, perform } from './output.ts'
import { readKeys } from './session.ts'

const DISCOVERY_TIMEOUT_MS = 2000

export function addDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('check configuration, database, keys, issuer, gateways and mail; changes nothing')
  perform(command, 'doctor', async () => report(await examine()))
}

async function examine(): Promise<Check[]> {
  let settings: ReturnType<typeof readConfig>
  try {
    settings = readConfig(environment())
    const { config } = settings
    assertTextsFit(config, createLanguages(loadCatalogues(), config.defaultLocale))
  } catch (error) {
    return judgeConfigError(error)
  }
  const { config, secrets } = settings
  const keys = checkKeys(config, secrets)
  const asked = attempt('issuer', () => checkIssuer(config))
  const issuerAnswers = asked.then(({ status }) => status === 'ok')
  const [database, issuer, gateways, mail] = await Promise.all([
    checkDatabase(config, secrets, keys.complete),
    asked,
    checkGateways(config, secrets, issuerAnswers),
    attempt('mail', () => checkMail(config, secrets)),
  ])
  const configuration = ok('configuration', 'every variable is well-formed')
  return [configuration, keys.check, ...database, issuer, ...gateways, mail]
}

/** One line a fault; the rest can't be looked at before they are mended. */
function judgeConfigError(error: unknown): Check[] {
  if (!(error instanceof ConfigError)) return [failed('configuration', explain(error))]
  const [, ...lines] = error.message.split('\n')
  return lines.map((line) => failed('configuration', line.trim()))
}

function checkKeys(config: Config, secrets: Secrets): { check: Check; complete?: CompleteSecrets } {
  const { encryptionKeys, cookieKeys } = secrets
  if (encryptionKeys && cookieKeys) {
    const check = ok('key file', 'not needed: the environment gives the keys')
    return { check, complete: { ...secrets, encryptionKeys, cookieKeys } }
  }
  const file = join(config.dataDir, 'development-keys.json')
  const status = statSync(file, { throwIfNoEntry: false })
  if (!status) {
    return { check: warning('key file', `${file} is not there yet; the first start makes it`) }
  }
  try {
    const complete = readKeys(config, secrets)
    const mode = (status.mode & 0o777).toString(8).padStart(4, '0')
    const open = process.platform !== 'win32' && (status.mode & 0o077) !== 0
    const check = open
      ? failed('key file', `others can read ${file} (mode ${mode}). Run: chmod 600 ${file}`)
      : ok('key file', `only its owner can read ${file}`)
    return { check, complete }
  } catch (error) {
    return { check: failed('key file', explain(error)) }
  }
}

const discovery = z.object({ issuer: z.string() })

async function checkIssuer({ issuer }: Config): Promise<Check> {
  const { protocol, hostname } = new URL(issuer)
  if (protocol !== 'https:' && !isLoopbackHost(hostname)) {
    return warning('issuer', `${issuer} is plain http: browsers refuse parts of a sign-in there`)
  }
  const url = `${issuer}/.well-known/openid-configuration`
  const answer = await requestJson(
    { method: 'GET', url },
    AbortSignal.timeout(DISCOVERY_TIMEOUT_MS),
  )
  if (answer.kind !== 'answer') {
    return warning('issuer', `${issuer} doesn't answer (${answer.detail}): is the server running?`)
  }
  const document = discovery.safeParse(answer.json)
  if (answer.status !== 200 || !document.success) {
    const got = `http ${answer.status} without a discovery document`
    return warning('issuer', `${url} answers ${got}: does the proxy in front pass it on?`)
  }
  if (document.data.issuer !== issuer) {
    return warning('issuer', `${url} names another issuer: something else answers there`)
  }
  return ok('issuer', `${issuer} answers`)
}

async function checkMail({ mail }: Config, { smtpUrl }: Secrets): Promise<Check> {
  if (mail.by === 'outbox') return ok('mail', 'mails stay in the outbox; none is sent to anyone')
  if (mail.by === 'nothing') {
    const missing = 'nobody is told or invited by mail, or can reset a password'
    return warning('mail', `${missing}: set SMTP_URL and MAIL_FROM`)
  }
  const mailer = createMailer({
    settings: { ...mail, smtpUrl, timeoutMs: MAIL_TIMEOUT_MS },
    outbox: null,
    log: createLog('silent', false),
  })
  try {
    const { ok: works, detail } = await mailer.check()
    return works ? ok('mail', detail) : failed('mail', `${detail}. Check SMTP_URL`)
  } finally {
    await mailer.close()
  }
}

function report(checks: Check[]): Outcome {
  const sound = checks.every(({ status }) => status !== 'failed')
  const width = Math.max(...checks.map(({ name }) => name.length))
  const lines = checks.map(({ name, status, detail }) => {
    const word = status === 'failed' ? 'FAILED' : status
    return `${word.padEnd(7)}  ${name.padEnd(width)}  ${detail}`
  })
  return { json: { ok: sound, checks }, text: lines.join('\n'), refused: !sound }
}
