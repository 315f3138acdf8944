import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { dashboard } from './dashboard/dashboard.ts'
import { reportDashboard } from './dashboard/report.ts'
import { startDatabases } from './databases.ts'
import { benchImport, importReport } from './import/import.ts'
import { pumping } from './pumping/pumping.ts'
import { report } from './pumping/report.ts'

type Databases = Awaited<ReturnType<typeof startDatabases>>

/** What each bench measures, and how that is told. */
const BENCHES: Record<
  string,
  (databases: Databases, size: { messages: number }) => Promise<{ figures: unknown; text: string }>
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
}

const { values, positionals } = parseArgs({
  options: { json: { type: 'string' }, messages: { type: 'string', default: '10000000' } },
  allowPositionals: true,
})
const [name] = positionals
const chosen = Object.entries(BENCHES).filter(([one]) => name === undefined || one === name)
if (chosen.length === 0) {
  console.error(`There is no bench ${name}; there are: ${Object.keys(BENCHES).join(', ')}.`)
  process.exit(2)
}

const messages = Number(values.messages)
if (!Number.isInteger(messages) || messages < 1000) {
  console.error('--messages takes a whole number, 1000 at least.')
  process.exit(2)
}

const databases = await startDatabases()
try {
  const all: Record<string, unknown> = {}
  for (const [one, run] of chosen) {
    const { figures, text } = await run(databases, { messages })
    console.log(text)
    all[one] = figures
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(all, null, 2)}\n`)
} finally {
  await databases.stop()
}
