import { Refusal } from '../errors.ts'
import type { Source } from './source.ts'
import type { RawRow } from './split.ts'

/** What a row was found to hold, or why it can't be read. */
export interface Item {
  /** of a file of lines, the one it begins on; else the how-manieth account it is */
  line: number
  /** where to go on after it: bytes, and lines or accounts, from the start */
  end: { bytes: number; lines: number }
  input?: unknown
  fault?: string
}

/** Where reading begins: at the start, or behind what was read before. */
export interface Position {
  bytes: number
  lines: number
}

const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf])
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * How many bytes at the start only say what the text is written in.
 * @throws Refusal when the file is empty, or isn't UTF-8 by what it says of itself
 */
export async function markLength(source: Source): Promise<number> {
  for await (const chunk of source.read(0)) {
    const start = Buffer.from(chunk.subarray(0, 3))
    if (start.equals(UTF8_MARK)) return UTF8_MARK.length
    if (/^(\xff\xfe|\xfe\xff)/.test(start.toString('latin1'))) {
      throw new Refusal('encoding', 400, 'The file is UTF-16. Save it as UTF-8 and try again.')
    }
    return 0
  }
  throw new Refusal('empty', 400, 'The file is empty.')
}

/** @returns the row's text, or why there is none */
export function textOf({ bytes }: RawRow): { text: string } | { fault: string } {
  if (!bytes) return { fault: 'The row is longer than 64 KiB.' }
  if (bytes.includes(0)) return { fault: 'The row has a NUL in it.' }
  try {
    return { text: decoder.decode(bytes) }
  } catch {
    return { fault: 'The row is not UTF-8.' }
  }
}
