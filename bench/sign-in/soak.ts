import type { Driver } from './driving.ts'
import { type Ours, startOurs } from './ours.ts'
import { residentMegabytes } from './processes.ts'

export interface Soak {
  minutes: number
  /** sign-ins a second, every one with a texted code */
  rate: number
  done: number
  errors: number
  p95: number
  /** memory at the end of each tenth */
  megabytes: number[]
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
  const p95s: number[] = []
  const server = await startOurs(ours)
  try {
    for (let part = 0; part < PARTS; part++) {
      const seconds = (minutes * 60) / PARTS
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
    }
  } finally {
    await server.stop()
  }
  return { minutes, rate, ...sum, p95: Math.max(...p95s), megabytes }
}
