import { parse } from 'csv-parse/sync'
import { Refusal } from '../errors.ts'
import { PHONES_AT_MOST } from '../second-factor/phones.ts'
import { unescapeFormula } from './formula.ts'
import type { Source } from './source.ts'
import { splitRows } from './split.ts'
import { type Item, markLength, type Position, textOf } from './text.ts'

const DELIMITERS = [',', ';', '\t'] as const
const TRUE = new Set(['true', 'yes', '1', 't', 'y'])
const FALSE = new Set(['false', 'no', '0', 'f', 'n'])

/** `phone`, `phone2` and so on, the first being the primary one. */
export const PHONE_COLUMNS = Array.from({ length: PHONES_AT_MOST }, (_, index) =>
  index === 0 ? 'phone' : `phone${index + 1}`,
)
const TEXTS = ['id', 'username', 'email', 'name', 'password_hash', 'password_salt']
const FLAGS = ['email_verified', 'disabled']
export const COLUMNS = [
  ...TEXTS,
  ...FLAGS,
  ...PHONE_COLUMNS.flatMap((column) => [column, `${column}_verified`]),
]

/** Rows of a CSV file whose header names the columns. */
export async function* readCsv(source: Source, from: Position): AsyncGenerator<Item> {
  const { delimiter, columns, behind } = await readHeader(source)
  const start = from.bytes === 0 ? behind : from
  const rows = splitRows(source.read(start.bytes), {
    quotes: true,
    from: { byte: start.bytes, line: start.lines + 1 },
  })
  for await (const row of rows) {
    const { line } = row
    const end = { bytes: row.end, lines: row.nextLine - 1 }
    const read = textOf(row)
    if ('fault' in read) yield { line, end, fault: read.fault }
    else if (read.text.trim() !== '') yield { line, end, ...cellsOf(read.text, delimiter, columns) }
  }
}

/** @throws Refusal when the first row names no columns that can be imported */
async function readHeader(source: Source) {
  const mark = await markLength(source)
  const rows = splitRows(source.read(mark), { quotes: true, from: { byte: mark, line: 1 } })
  for await (const row of rows) {
    const read = textOf(row)
    if ('fault' in read) throw new Refusal('header', 400, `The header: ${read.fault}`)
    const { delimiter, columns } = namesOf(read.text)
    assertKnown(columns)
    return { delimiter, columns, behind: { bytes: row.end, lines: row.nextLine - 1 } }
  }
  throw new Refusal('header', 400, 'The file has no header.')
}

/** Only what is a header is quoted: a file without one begins with somebody's data. */
function assertKnown(columns: readonly string[]): void {
  const known = `Known columns are: ${COLUMNS.join(', ')}.`
  if (!columns.includes('username'))
    throw new Refusal('header', 400, `The first row names no column username. ${known}`)
  const unknown = columns.filter((column) => !COLUMNS.includes(column))
  if (unknown.length > 0) {
    const listed = unknown.map((column) => column.slice(0, 40) || '(empty)').join(', ')
    throw new Refusal('header', 400, `The header has columns unknown here: ${listed}. ${known}`)
  }
  if (new Set(columns).size < columns.length)
    throw new Refusal('header', 400, 'The header names a column twice.')
}

/** The names of a header, by the delimiter that makes most of it. */
function namesOf(header: string): { delimiter: string; columns: string[] } {
  const readings = DELIMITERS.map((delimiter) => {
    const cells = cut(header, delimiter) ?? []
    return { delimiter, columns: cells.map((cell) => cell.trim().toLowerCase()) }
  })
  const known = (columns: string[]) => columns.filter((column) => COLUMNS.includes(column)).length
  const [best] = readings.toSorted(
    (a, b) => known(b.columns) - known(a.columns) || b.columns.length - a.columns.length,
  )
  if (!best) throw new Error('there are no delimiters')
  return best
}

/** The cells of one row; undefined when its quotes don't close. */
function cut(text: string, delimiter: string): string[] | undefined {
  try {
    // Line ends are only left within quotes.
    return parse(text, { delimiter, record_delimiter: ['\n'], relax_column_count: true })[0]
  } catch {
    return undefined
  }
}

function cellsOf(
  text: string,
  delimiter: string,
  columns: string[],
): Pick<Item, 'input' | 'fault'> {
  const cells = cut(text, delimiter)
  if (!cells) return { fault: 'The quotes of the row are not those of CSV.' }
  if (cells.length !== columns.length)
    return { fault: `The row has ${cells.length} cells, and the header ${columns.length}.` }
  const given = new Map(columns.map((column, at) => [column, unescapeFormula(cells[at] ?? '')]))
  const phones = PHONE_COLUMNS.flatMap((column) => {
    const number = given.get(column)?.trim()
    return number ? [{ number, verified: flagOf(given.get(`${column}_verified`)) }] : []
  })
  return {
    input: {
      ...Object.fromEntries(TEXTS.map((column) => [column, given.get(column) || null])),
      ...Object.fromEntries(FLAGS.map((column) => [column, flagOf(given.get(column))])),
      phones,
    },
  }
}

/** True, false, null for nothing; what is none of them stays as it is, to be told of. */
function flagOf(cell: string | undefined): boolean | string | null {
  const word = cell?.trim().toLowerCase() ?? ''
  if (word === '') return null
  if (TRUE.has(word)) return true
  return FALSE.has(word) ? false : word
}
