import { flushCompileCache } from 'node:module'
import { requestForLog } from './audit/circumstances.ts'
import { ConfigError, readConfig } from './config/config.ts'
import { completeSecrets } from './config/development-keys.ts'
import { environment } from './config/environment.ts'
import { createLog } from './log.ts'
import { setProcessClock } from './process-clock.ts'
import { startServer } from './server.ts'
import { giveBackStartMemory } from './start-memory.ts'
import { exportTraces } from './trace-export.ts'
import { ownVersion } from './version.ts'

/** Longer than anything a stop waits for: what still goes on then hangs. */
const STOPS_WITHIN_MS = 30_000

/** After the start, until whoever waited for it has been served. */
const GIVES_BACK_AFTER_MS = 1000

/** The process, or a sentence on standard error about why there is none. */
export async function run(): Promise<void> {
  try {
    await begin()
  } catch (error) {
    const stopped = error instanceof ConfigError || error instanceof Error
    process.stderr.write(`${stopped ? error.message : 'The start failed.'}\n`)
    process.exit(1)
  }
}

/** Environment → configuration → server; it stops gracefully on SIGTERM and SIGINT. */
async function begin(): Promise<void> {
  const { config, secrets } = readConfig(environment())
  const log = createLog(config.logLevel, !config.production, undefined, requestForLog)
  const complete = completeSecrets(config, secrets, (sentence) => log.info(sentence))
  const { tracing } = config
  const endTraces =
    tracing &&
    (await exportTraces({ tracing, headers: secrets.tracingHeaders, version: ownVersion(), log }))
  const server = await startServer({
    config,
    secrets: complete,
    log,
    setClock: setProcessClock,
  })

  let stopping = false
  const stop = async (why: string, exitCode: number) => {
    if (stopping) return
    stopping = true
    log.info({ signal: why }, 'stopping')
    setTimeout(() => process.exit(1), STOPS_WITHIN_MS + config.drainSeconds * 1000).unref()
    await server.stop()
    await endTraces?.()
    process.exit(exitCode)
  }
  process.on('SIGTERM', () => void stop('SIGTERM', 0))
  process.on('SIGINT', () => void stop('SIGINT', 0))
  // Nobody knows what such an error left half done: what is being served is finished, and then it is for a
  // fresh process to go on. Node's own way would print the message, with whatever it quotes (AVL-14, LOG-02).
  const fall = (error: unknown) => {
    log.fatal({ error }, 'an error that nothing caught')
    stop('fault', 1).catch(() => process.exit(1))
  }
  process.on('uncaughtException', fall)
  process.on('unhandledRejection', fall)

  // What can't be written, as on a full volume, is lost; the service goes on.
  process.stdout.on('error', () => {})
  await server.ready
  if (stopping) return
  // Not only at the end, which may come suddenly.
  flushCompileCache()
  const phone = config.sms.gateways.includes('outbox')
    ? { simulatedPhone: `${config.issuer}/dev/outbox` }
    : {}
  log.info(
    { issuer: config.issuer, host: config.host, port: server.address.port, ...phone },
    'ready',
  )
  // Where Node's inspector can't be had, the process keeps what it holds.
  const giveBack = () => giveBackStartMemory().catch(() => {})
  setTimeout(giveBack, GIVES_BACK_AFTER_MS).unref()
  const bootstrapUrl = server.bootstrapUrl()
  // Not by the log, whose lines are gathered and kept: it is for whoever starts the service.
  if (bootstrapUrl) process.stdout.write(bootstrapNote(bootstrapUrl))
}

function bootstrapNote(url: string): string {
  return `\nThere is no admin yet. Open this once, within an hour, to become the first:\n\n  ${url}\n\n`
}
