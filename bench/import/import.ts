import { randomBytes } from 'node:crypto'
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { hash } from '@node-rs/bcrypt'
import { createSignerKeys } from '../../src/accounts/signer-keys.ts'
import { createFingerprints } from '../../src/crypto/fingerprints.ts'
import { createVault } from '../../src/crypto/vault.ts'
import { databaseClock as clock } from '../../src/db/clock.ts'
import { createImports } from '../../src/transfer/imports.ts'
import type { FreshDatabase } from '../pumping/pumping.ts'

export interface ImportFigures {
  rows: number
  megabytes: number
  seconds: number
  rowsASecond: number
  /** memory of the process at most, above what it had before */
  peakGrowthMegabytes: number
}

const ROWS = 100_000
const SAMPLE_MS = 20
const MEGABYTE = 1024 * 1024

/** Imports a CSV file of accounts with a phone and a bcrypt hash each, as the command line does. */
export async function benchImport(
  fresh: () => Promise<FreshDatabase>,
  rows = ROWS,
): Promise<ImportFigures> {
  const database = await fresh()
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-import-'))
  const file = join(directory, 'accounts.csv')
  try {
    await pipeline(Readable.from(lines(rows, await bcryptHash())), createWriteStream(file))
    const { db } = database
    const vault = createVault([randomBytes(32)])
    const imports = createImports({
      db,
      clock,
      vault,
      fingerprint: createFingerprints(randomBytes(32)),
      signerKeys: createSignerKeys({ db, vault }),
      phoneChanges: {
        add: () => Promise.reject(new Error('no account is there before')),
      },
      sharing: 'warn',
      allowedCountries: '*',
      defaultCountry: undefined,
    })
    const before = process.memoryUsage().rss
    let peak = before
    const sampling = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss)
    }, SAMPLE_MS)
    const begun = performance.now()
    const wanted = { format: 'csv', dryRun: false, update: false, resume: false } as const
    const job = await imports.importFile(file, wanted)
    const seconds = (performance.now() - begun) / 1000
    clearInterval(sampling)
    if (job.created !== rows) throw new Error(`${job.created} of ${rows} were imported`)
    return {
      rows,
      megabytes: job.bytesTotal / MEGABYTE,
      seconds,
      rowsASecond: rows / seconds,
      peakGrowthMegabytes: (peak - before) / MEGABYTE,
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
    await database.destroy()
  }
}

/** One hash for all: nobody signs in here, and making each would take longer than the import. */
const bcryptHash = () => hash('a password of the old system', { cost: 4 })

function* lines(rows: number, passwordHash: string): Generator<string> {
  yield 'username,email,email_verified,name,phone,phone_verified,password_hash\n'
  for (let row = 0; row < rows; row++) {
    const phone = `+467${String(row % 4 === 0 ? 2 : 3)}${String(row).padStart(7, '0')}`
    yield `user${row},user${row}@example.com,true,"Person, ${row}",${phone},${row % 2 === 0},${passwordHash}\n`
  }
}

export function importReport(figures: ImportFigures): string {
  const { rows, megabytes, seconds, rowsASecond, peakGrowthMegabytes } = figures
  return [
    `import of ${rows} rows of CSV with phone and bcrypt hash (${megabytes.toFixed(1)} MB)`,
    `  ${seconds.toFixed(1)} s, ${Math.round(rowsASecond)} rows a second`,
    `  memory grew by ${Math.round(peakGrowthMegabytes)} MB at most`,
  ].join('\n')
}
