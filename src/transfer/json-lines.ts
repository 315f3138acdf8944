import { FORBIDDEN_KEYS } from '../json-keys.ts'
import type { Source } from './source.ts'
import { splitRows } from './split.ts'
import { type Item, markLength, type Position, textOf } from './text.ts'

/** Rows of a file of JSON lines. */
export async function* readJsonLines(source: Source, from: Position): AsyncGenerator<Item> {
  const bytes = from.bytes || (await markLength(source))
  const rows = splitRows(source.read(bytes), {
    quotes: false,
    from: { byte: bytes, line: from.lines + 1 },
  })
  for await (const row of rows) {
    const end = { bytes: row.end, lines: row.nextLine - 1 }
    const read = textOf(row)
    if ('fault' in read) yield { line: row.line, end, fault: read.fault }
    else if (read.text.trim() !== '') yield { line: row.line, end, ...objectOf(read.text) }
  }
}

function objectOf(text: string): Pick<Item, 'input' | 'fault'> {
  let forbidden = false
  try {
    const input: unknown = JSON.parse(text, (key, value) => {
      forbidden ||= FORBIDDEN_KEYS.has(key)
      return value
    })
    return forbidden ? { fault: 'The row has a key that no account has.' } : { input }
  } catch {
    // Its message would quote the row.
    return { fault: 'The row is not JSON.' }
  }
}
