import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import type { RecordedEvent } from '../audit/event.ts'
import { inSession } from './session.ts'

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

async function* asLines(events: AsyncIterable<RecordedEvent>): AsyncGenerator<string> {
  for await (const event of events) yield `${JSON.stringify(event)}\n`
}

async function* asArray(events: AsyncIterable<RecordedEvent>): AsyncGenerator<string> {
  let before = '['
  for await (const event of events) {
    yield `${before}${JSON.stringify(event)}`
    before = ',\n'
  }
  yield before === '[' ? '[]\n' : ']\n'
}

/** Writes as fast as it is read, and stops when nobody reads any more, as behind `| head`. */
async function write(parts: AsyncIterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(parts), process.stdout, { end: false })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error
  }
}

const moment = z.union([z.iso.date(), z.iso.datetime({ offset: true })])

function time(text: string): Date {
  const parsed = moment.safeParse(text)
  if (!parsed.success) {
    throw new InvalidArgumentError('It must be a date like 2026-01-31 or 2026-01-31T12:00:00Z.')
  }
  return new Date(parsed.data)
}
