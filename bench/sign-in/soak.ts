import type { Driver } from './driving.ts'
import { type Ours, startOurs } from './ours.ts'
import { openDescriptors, residentMegabytes } from './processes.ts'
import { median } from './turns.ts'

export interface Soak {
  minutes: number
  /** sign-ins a second, every one with a texted code */
  rate: number
  done: number
  errors: number
  p95: number
  /** memory at the end of each tenth */
  megabytes: number[]
  /** open files and connections at the end of each tenth */
  descriptors: number[]
  /** how late the event loop was, p99 in milliseconds: the middle of what each tenth ended with */
  lagMs: number
}

interface Load {
  soakMinutes: number
  concurrency: number
  people: number
  rate: number
}

const PARTS = 10

/** Sign-ins at an even rate for a while, and what memory the server holds meanwhile. */
export async function soak(driver: Driver, ours: Ours, load: Load): Promise<Soak> {
  const { soakMinutes: minutes, rate, concurrency, people } = load
  const sum = { done: 0, errors: 0 }
  const megabytes: number[] = []
  const descriptors: number[] = []
  const lags: number[] = []
  const p95s: number[] = []
  const server = await startOurs(ours)
  try {
    for (let part = 0; part < PARTS; part++) {
      const seconds = (minutes * 60) / PARTS
      // It tells of the time since it was last asked.
      await eventLoopLag(server.port)
      const driven = await driver.drive(server, {
        what: 'texted',
        people,
        concurrency,
        seconds,
        rate,
      })
      sum.done += driven.done
      sum.errors += driven.errors
      p95s.push(driven.p95)
      megabytes.push(residentMegabytes(server.pid))
      descriptors.push(openDescriptors(server.pid))
      lags.push(await eventLoopLag(server.port))
    }
  } finally {
    await server.stop()
  }
  const lagMs = median(lags)
  return { minutes, rate, ...sum, p95: Math.max(...p95s), megabytes, descriptors, lagMs }
}

async function eventLoopLag(port: number): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const [, seconds] = /^nodejs_eventloop_lag_p99_seconds (\S+)$/m.exec(metrics) ?? []
  return Number(seconds) * 1000
}
