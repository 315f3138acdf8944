import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Command } from 'commander'
import { type FirebaseProject, readFirebaseProject } from '../transfer/firebase.ts'
import { IMPORT_FORMATS, type ImportFormat, isImportFormat } from '../transfer/formats.ts'
import type { ImportJob } from '../transfer/job.ts'
import { unreadable } from '../transfer/source.ts'
import type { Failure } from '../transfer/write-batch.ts'
import { type Outcome, perform } from './output.ts'
import { createProgressBar } from './progress.ts'
import { inSession } from './session.ts'

interface ImportCommandOptions {
  format?: string
  dryRun?: true
  update?: true
  resume?: true
  firebaseHashConfig?: string
}

const FORMAT_OF: Record<string, ImportFormat> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.txt': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'keycloak',
}

const LISTED_MOST = 10_000
const SHOWN_MOST = 20

export function addImport(program: Command): void {
  const command = program
    .command('import')
    .description(
      'make accounts out of a file, with the password hashes of the system it comes from',
    )
    .argument('<file>')
    .option('--format <format>', `${IMPORT_FORMATS.join(', ')}; told from the name if left out`)
    .option('--dry-run', 'read and judge every row, and write nothing')
    .option('--update', 'write to accounts that are there already, too')
    .option('--resume', 'go on with an import of this file that was broken off')
    .option(
      '--firebase-hash-config <file>',
      "the Firebase project's password hash parameters, as its console shows them",
    )
  perform(
    command,
    'import users.csv --dry-run',
    async (file: string, options: ImportCommandOptions) => {
      const format = options.format ?? FORMAT_OF[extname(file).toLowerCase()]
      if (format === undefined || !isImportFormat(format)) {
        return command.error(`error: --format must be one of ${IMPORT_FORMATS.join(', ')}`)
      }
      const firebase = await readHashConfig(options.firebaseHashConfig)
      const wanted = {
        format,
        dryRun: options.dryRun === true,
        update: options.update === true,
        resume: options.resume === true,
        firebase,
      }
      return inSession(async ({ imports }) => {
        const bar = createProgressBar()
        const job = await imports.importFile(file, wanted, bar.show).finally(bar.end)
        return told(job, await imports.failures(job.id, { after: 0, limit: LISTED_MOST }))
      })
    },
  )
}

async function readHashConfig(path: string | undefined): Promise<FirebaseProject | undefined> {
  return path === undefined
    ? undefined
    : readFirebaseProject(await readFile(path, 'utf8').catch(unreadable))
}

function told(job: ImportJob, failures: readonly Failure[]): Outcome {
  const { id, dryRun, created, updated, failed, error } = job
  const shown = failures.slice(0, SHOWN_MOST).map(({ line, reason }) => `line ${line}: ${reason}`)
  const rest = failed - shown.length
  return {
    json: { import: id, dryRun, created, updated, failed: failures, failedCount: failed, error },
    text: [
      `${dryRun ? 'It would be' : 'Done'}: ${created} created, ${updated} updated, ${failed} failed`,
      ...shown,
      ...(rest > 0 ? [`and ${rest} more; --json lists up to ${LISTED_MOST}`] : []),
    ].join('\n'),
    ...(error !== null && { note: error, refused: true }),
  }
}
