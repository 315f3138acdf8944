import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { dashboard } from './dashboard/dashboard.ts'
import { reportDashboard } from './dashboard/report.ts'
import { startDatabases } from './databases.ts'
import { benchImport, importReport } from './import/import.ts'
import { findBouncer } from './pgbouncer/bouncer.ts'
import { benchPgbouncer } from './pgbouncer/pgbouncer.ts'
import { NO_BOUNCER, pgbouncerReport } from './pgbouncer/report.ts'
import { pumping } from './pumping/pumping.ts'
import { report } from './pumping/report.ts'
import { signInReport } from './sign-in/report.ts'
import { benchSignIn } from './sign-in/sign-in.ts'

const whole = (least: number) =>
  z.coerce
    .number('takes a number')
    .int('takes a whole number')
    .min(least, `takes a whole number, ${least} at least`)

const options = z.object({
  messages: whole(1000),
  accounts: whole(1000),
  challenges: whole(1000),
  concurrency: whole(1),
  seconds: whole(1),
  rounds: whole(1),
  'soak-minutes': z.coerce.number('takes a number').positive('takes a number above 0'),
})
type Options = z.output<typeof options>
type Databases = Awaited<ReturnType<typeof startDatabases>>

/** What each bench measures, and how that is told. */
const BENCHES: Record<
  string,
  (databases: Databases, options: Options) => Promise<{ figures: unknown; text: string }>
> = {
  async pumping({ fresh }) {
    const figures = await pumping(fresh)
    return { figures, text: report(figures) }
  },
  async dashboard({ fresh }, { messages }) {
    const figures = await dashboard(fresh, { messages, days: 30 })
    return { figures, text: reportDashboard(figures) }
  },
  async import({ fresh }) {
    const figures = await benchImport(fresh)
    return { figures, text: importReport(figures) }
  },
  async 'sign-in'({ fresh }, { 'soak-minutes': soakMinutes, ...size }) {
    const rest = { people: 500, starts: 5, idleSeconds: 10, soakMinutes }
    const figures = await benchSignIn(fresh, { ...size, ...rest }, (part) =>
      console.error(JSON.stringify(part)),
    )
    return { figures, text: signInReport(figures) }
  },
  async pgbouncer(databases, { seconds, rounds }) {
    const figures = await benchPgbouncer(databases, { seconds, rounds, concurrency: 16 })
    return { figures, text: pgbouncerReport(figures) }
  },
}

const { values, positionals } = parseArgs({
  options: {
    json: { type: 'string' },
    messages: { type: 'string', default: '10000000' },
    accounts: { type: 'string', default: '1000000' },
    challenges: { type: 'string', default: '10000000' },
    concurrency: { type: 'string', default: '32' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '4' },
    'soak-minutes': { type: 'string', default: '0.5' },
  },
  allowPositionals: true,
})
const [name] = positionals
const chosen = Object.entries(BENCHES).filter(([one]) => name === undefined || one === name)
if (chosen.length === 0) {
  console.error(`There is no bench ${name}; there are: ${Object.keys(BENCHES).join(', ')}.`)
  process.exit(2)
}

const read = options.safeParse(values)
if (!read.success) {
  const faults = read.error.issues.map(({ path, message }) => `--${path[0]?.toString()} ${message}`)
  console.error(faults.join('\n'))
  process.exit(2)
}

// Among all of them, it is passed over.
if (name === 'pgbouncer' && !findBouncer()) {
  console.error(NO_BOUNCER)
  process.exit(1)
}

const databases = await startDatabases()
try {
  const all: Record<string, unknown> = {}
  for (const [one, run] of chosen) {
    const { figures, text } = await run(databases, read.data)
    console.log(text)
    all[one] = figures
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(all, null, 2)}\n`)
} finally {
  await databases.stop()
}
