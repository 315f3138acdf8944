import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { startFakeTextbee } from '../../test/support/fake-textbee.ts'
import { openConnection } from './http.ts'
import { type Job, job, type Outcome } from './jobs.ts'
import { phoneOf, plainName, textedName, WITH_PHONE } from './people.ts'
import { read, refresh, signIn, type Tokens, type Visit } from './walk.ts'

/** The visitors, as a process of their own, with the gateway that their texts go to. */

const gateway = await startFakeTextbee()
const { baseUrl, apiKey, deviceId } = gateway
tell({ gateway: { baseUrl, apiKey, deviceId } })

const PATHS = { discovery: '/.well-known/openid-configuration', jwks: '/jwks' } as const
/** Numbers are taken in this stride, so that those who come at the same time are never the same person. */
const STRIDE = 7919
let visits = 0

process.on('message', (message) => {
  drive(job.parse(message)).then(
    (outcome) => tell({ outcome }),
    (error: unknown) => tell({ failed: String(error) }),
  )
})
process.on('disconnect', () => process.exit())

function tell(what: unknown): void {
  process.send?.(what)
}

/** Runs a job: so many visitors, each doing one thing after the other. */
async function drive(wanted: Job): Promise<Outcome> {
  const took: number[] = []
  const requests: number[] = []
  const faults: string[] = []
  const visitors = await Promise.all(
    Array.from({ length: wanted.concurrency }, () => arrive(wanted)),
  )
  tell({ begun: true })
  const cpu = process.cpuUsage()
  const began = performance.now()
  const end = began + wanted.seconds * 1000
  let begun = 0

  /** Whether there is another one to do, once it is due. */
  async function due(): Promise<boolean> {
    if (wanted.times) return begun++ < wanted.times
    const at = wanted.rate ? began + (begun++ / wanted.rate) * 1000 : performance.now()
    if (at >= end || performance.now() >= end) return false
    const wait = at - performance.now()
    if (wait > 1) await pause(wait)
    return true
  }

  await Promise.all(
    visitors.map(async (visitor) => {
      visitor.visit.onRequest = (milliseconds) => void requests.push(milliseconds)
      while (await due()) {
        const from = performance.now()
        try {
          await visitor.act()
          took.push(performance.now() - from)
        } catch (error) {
          faults.push(String(error))
          // An endless row of refusals would take less time than what is measured.
          await pause(50)
        }
      }
    }),
  )
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  for (const { visit } of visitors) visit.connection.close()
  gateway.reset()
  return {
    done: took.length,
    errors: faults.length,
    faults: [...new Set(faults)].slice(0, 3),
    seconds,
    p50: quantile(took, 0.5),
    p95: quantile(took, 0.95),
    p99: quantile(took, 0.99),
    requestP95: quantile(requests, 0.95),
    driverCpuMs: (user + system) / 1000,
  }
}

/** A visitor with a connection, and what it does over and over. */
async function arrive(wanted: Job): Promise<{ visit: Visit; act: () => Promise<unknown> }> {
  const { port, client, secret, what } = wanted
  const visit: Visit = { connection: openConnection(port), port, client, secret, address: '' }

  function next(people: number): number {
    const number = ++visits
    visit.address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`
    return (number * STRIDE) % people
  }
  const withPassword = () => signIn(visit, plainName(next(wanted.people)))

  if (what === 'password') return { visit, act: withPassword }
  if (what === 'texted') {
    const people = Math.min(wanted.people, WITH_PHONE)
    return {
      visit,
      act() {
        const number = next(people)
        return signIn(visit, textedName(number), () => codeFor(phoneOf(number)))
      },
    }
  }
  if (what === 'refresh') {
    let tokens: Tokens = await withPassword()
    return {
      visit,
      async act() {
        tokens = await refresh(visit, tokens)
      },
    }
  }
  visit.address = '10.0.0.1'
  return { visit, act: () => read(visit, PATHS[what]) }
}

/** The code in the last text a number got. */
function codeFor(phone: string): string {
  const text = gateway.messages.findLast(({ to }) => to === phone)?.text ?? ''
  const code = /#(\d+)$/.exec(text)?.[1]
  if (!code) throw new Error(`no text came to ${phone}`)
  return code
}

function quantile(values: number[], part: number): number {
  values.sort((a, b) => a - b)
  return values[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0
}
