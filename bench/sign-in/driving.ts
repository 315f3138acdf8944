import { type Job, type Outcome, told } from './jobs.ts'
import { cpuMs, forkProcess, stopProcess } from './processes.ts'

export type Driver = Awaited<ReturnType<typeof startDriver>>

/** What a job came to, with the CPU that each of them took in milliseconds. */
export interface Driven extends Outcome {
  /** a second */
  rate: number
  serverCpuMs: number
  postgresCpuMs: number
}

/** The server that visitors come to. */
export interface Target {
  pid: number
  port: number
  /** the app's id and secret */
  client: string
  secret: string
}

/** Starts the visitors' process. */
export async function startDriver(postgresCpuMs: () => number) {
  const child = forkProcess('driver.ts')
  let take: (message: unknown) => void = () => {}
  child.on('message', (message) => take(message))
  child.on('exit', () => take({ failed: 'the driver ended' }))
  const hear = () =>
    new Promise<ReturnType<typeof told.parse>>((resolve) => {
      take = (message) => resolve(told.parse(message))
    })
  const first = await hear()
  if (!('gateway' in first)) throw new Error('the driver told nothing of its gateway')

  return {
    gateway: first.gateway,

    /** @throws Error when it couldn't even begin */
    async drive(server: Target, job: Omit<Job, 'port' | 'client' | 'secret'>): Promise<Driven> {
      const cpu = () => ({ server: cpuMs(server.pid), postgres: postgresCpuMs() })
      let before = cpu()
      const { port, client, secret } = server
      child.send({ ...job, port, client, secret })
      for (;;) {
        const heard = await hear()
        if ('begun' in heard) before = cpu()
        if ('failed' in heard) throw new Error(heard.failed)
        if (!('outcome' in heard)) continue
        const after = cpu()
        const { outcome } = heard
        const each = (ms: number) => ms / Math.max(1, outcome.done)
        return {
          ...outcome,
          rate: outcome.done / outcome.seconds,
          serverCpuMs: each(after.server - before.server),
          postgresCpuMs: each(after.postgres - before.postgres),
          driverCpuMs: each(outcome.driverCpuMs),
        }
      }
    },

    stop: () => stopProcess(child),
  }
}
