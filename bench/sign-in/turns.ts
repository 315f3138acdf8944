import type { Driven, Driver, Target } from './driving.ts'
import type { Job } from './jobs.ts'

/** Something that is measured: where, and what. */
export interface Subject {
  at: Target
  what: Job['what']
  people: number
}

export interface Length {
  concurrency: number
  seconds: number
  rounds: number
}

/** What all rounds of one subject come to. */
export interface Measured {
  /** a second, over all rounds */
  rate: number
  done: number
  errors: number
  faults: string[]
  /** medians over the rounds, in milliseconds */
  p50: number
  p95: number
  p99: number
  requestP95: number
  /** CPU in milliseconds, each */
  serverCpuMs: number
  postgresCpuMs: number
  driverCpuMs: number
}

/** A server that has just started is several times as slow, until its code is compiled. */
const WARM_UP_SECONDS = 20

/**
 * Measures each subject in turn, round after round, so that what the machine does beside it meets all of them alike.
 * Each is warmed up first.
 */
export async function takeTurns<Name extends string>(
  driver: Driver,
  subjects: Record<Name, Subject>,
  { concurrency, seconds, rounds }: Length,
  between: () => Promise<void> = async () => {},
): Promise<Record<Name, Measured>> {
  const names = Object.keys(subjects).filter((name): name is Name => Object.hasOwn(subjects, name))
  const heard = new Map<Name, Driven[]>(names.map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const { at, what, people } = subjects[name]
      const length = round === 0 ? Math.min(2 * seconds, WARM_UP_SECONDS) : seconds
      const driven = await driver.drive(at, { what, people, concurrency, seconds: length })
      if (round > 0) heard.get(name)?.push(driven)
    }
    if (round > 0) await between()
  }
  const whole = (name: Name) => [name, together(heard.get(name) ?? [])] as const
  return Object.fromEntries(names.map(whole)) as Record<Name, Measured>
}

export function together(driven: readonly Driven[]): Measured {
  const sum = (pick: (one: Driven) => number) => driven.reduce((all, one) => all + pick(one), 0)
  const done = sum((one) => one.done)
  const each = (pick: (one: Driven) => number) =>
    sum((one) => pick(one) * one.done) / Math.max(1, done)
  const middle = (pick: (one: Driven) => number) => median(driven.map(pick))
  return {
    rate: done / sum((one) => one.seconds),
    done,
    errors: sum((one) => one.errors),
    faults: [...new Set(driven.flatMap(({ faults }) => faults))],
    p50: middle((one) => one.p50),
    p95: middle((one) => one.p95),
    p99: middle((one) => one.p99),
    requestP95: middle((one) => one.requestP95),
    serverCpuMs: each((one) => one.serverCpuMs),
    postgresCpuMs: each((one) => one.postgresCpuMs),
    driverCpuMs: each((one) => one.driverCpuMs),
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}
