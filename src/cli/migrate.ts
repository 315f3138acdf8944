import type { Command } from 'commander'
import { readConfig } from '../config/config.ts'
import { environment } from '../config/environment.ts'
import { pendingMigrations } from '../db/migrate.ts'
import { type Outcome, perform } from './output.ts'
import { withDatabase } from './session.ts'

export function addMigrate(program: Command): void {
  const command = program
    .command('migrate')
    .description("bring the database's schema up to date, as the server does when it starts")
    .option('--check', 'change nothing; exit 1 and list what has not run, if anything')
  perform(command, 'migrate --check', async ({ check }: { check?: true }) => {
    // No rooms: neither needs keys, and a check must not make any.
    const { config, secrets } = readConfig(environment())
    return withDatabase(config, secrets.databaseUrl, async (database) =>
      check ? pending(await pendingMigrations(database.db)) : ran(await database.migrate()),
    )
  })
}

function ran(names: string[]): Outcome {
  return {
    json: { ran: names },
    text: names.map((name) => `Ran ${name}`).join('\n') || 'The schema was up to date.',
  }
}

function pending(names: string[]): Outcome {
  if (names.length === 0) return { json: { pending: [] }, text: 'The schema is up to date.' }
  return {
    json: { pending: names },
    text: names.map((name) => `Pending: ${name}`).join('\n'),
    note: 'The schema is not up to date. Run: npm run cli -- migrate',
    refused: true,
  }
}
