import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { inSession } from './session.ts'
import { asArray, asLines, write } from './stream.ts'

export function addAuditCommands(program: Command): void {
  const noun = program.command('audit').description('what happened, to whom, by whom')

  // Not by `perform`: there may be more events than fit into memory, so they are written as they are read.
  noun
    .command('export')
    .description('write all events as JSON lines, oldest first')
    .option(
      '--since <time>',
      'only those from then on, as 2026-01-31 or 2026-01-31T12:00:00Z',
      time,
    )
    .option('--json', 'write one JSON array instead of lines')
    .addHelpText('after', '\nExample:\n  npm run --silent cli -- audit export --since 2026-01-31')
    .action(async ({ since, json }: { since?: Date; json?: true }) =>
      inSession(async ({ audit }) => {
        const events = audit.export({ since })
        await write(json ? asArray(events) : asLines(events))
      }),
    )
}

const moment = z.union([z.iso.date(), z.iso.datetime({ offset: true })])

function time(text: string): Date {
  const parsed = moment.safeParse(text)
  if (!parsed.success) {
    throw new InvalidArgumentError('It must be a date like 2026-01-31 or 2026-01-31T12:00:00Z.')
  }
  return new Date(parsed.data)
}
