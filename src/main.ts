import { ConfigError, readConfig } from './config/config.ts'
import { completeSecrets } from './config/development-keys.ts'
import { environment } from './config/environment.ts'
import { createLog } from './log.ts'
import { setProcessClock } from './process-clock.ts'
import { startServer } from './server.ts'

/** The process: environment → configuration → server; it stops gracefully on SIGTERM and SIGINT. */
async function main(): Promise<void> {
  const { config, secrets } = readConfig(environment())
  const log = createLog(config.logLevel, !config.production)
  const complete = completeSecrets(config, secrets, (sentence) => log.info(sentence))
  const server = await startServer({
    config,
    secrets: complete,
    log,
    setClock: setProcessClock,
  })

  let stopping = false
  const stop = async (signal: string) => {
    if (stopping) return
    stopping = true
    log.info({ signal }, 'stopping')
    await server.stop()
    process.exit(0)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)

  // What can't be written, as on a full volume, is lost; the service goes on.
  process.stdout.on('error', () => {})
  await server.ready
  if (stopping) return
  const phone = config.sms.gateways.includes('outbox')
    ? { simulatedPhone: `${config.issuer}/dev/outbox` }
    : {}
  log.info(
    { issuer: config.issuer, host: config.host, port: server.address.port, ...phone },
    'ready',
  )
  const bootstrapUrl = server.bootstrapUrl()
  // Not by the log, whose lines are gathered and kept: it is for whoever starts the service.
  if (bootstrapUrl) process.stdout.write(bootstrapNote(bootstrapUrl))
}

function bootstrapNote(url: string): string {
  return `\nThere is no admin yet. Open this once, within an hour, to become the first:\n\n  ${url}\n\n`
}

main().catch((error: unknown) => {
  const stopped = error instanceof ConfigError || error instanceof Error
  process.stderr.write(`${stopped ? error.message : 'The start failed.'}\n`)
  process.exit(1)
})
