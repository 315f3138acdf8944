import type { RecordedEvent } from '../../audit/event.ts'
import { csvCell } from '../../transfer/formula.ts'
import type { Stream } from './streams.ts'

export const EXPORT_FORMATS = ['jsonl', 'csv'] as const
type ExportFormat = (typeof EXPORT_FORMATS)[number]

export const EXPORT_TYPES = { jsonl: 'application/jsonl', csv: 'text/csv' } as const

const COLUMNS = [
  'id',
  'at',
  'type',
  'actor',
  'account_id',
  'client_id',
  'request_id',
  'address',
  'detail',
] as const satisfies ReadonlyArray<keyof RecordedEvent>

/** Events as a file, in the lines of the command line's export; in CSV with a line of names above. */
export function eventFile(events: AsyncIterable<RecordedEvent>, format: ExportFormat): Stream {
  return {
    type: `${EXPORT_TYPES[format]}; charset=utf-8`,
    name: `audit.${format}`,
    parts: format === 'csv' ? rows(events) : lines(events),
  }
}

async function* lines(events: AsyncIterable<RecordedEvent>): AsyncGenerator<string> {
  for await (const event of events) yield `${JSON.stringify(event)}\n`
}

async function* rows(events: AsyncIterable<RecordedEvent>): AsyncGenerator<string> {
  yield `${COLUMNS.join(',')}\r\n`
  for await (const event of events)
    yield `${COLUMNS.map((column) => csvCell(textOf(event[column]))).join(',')}\r\n`
}

function textOf(value: RecordedEvent[(typeof COLUMNS)[number]]): string {
  if (value === null) return ''
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? JSON.stringify(value) : value
}
