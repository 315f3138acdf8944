/** A row of a text file as bytes, without what ends its line. */
export interface RawRow {
  /** number of the line it begins on */
  line: number
  /** where the next row begins, in bytes from the start of the file */
  end: number
  /** number of the line the next row begins on */
  nextLine: number
  /** undefined when it is longer than a row may be */
  bytes: Buffer | undefined
}

/** No account's row comes near it. */
export const ROW_BYTES = 64 * 1024

const NEWLINE = 0x0a
const RETURN = 0x0d
const QUOTE = 0x22

/**
 * Cuts a stream into rows, keeping no more of it than one row may have. A line end within quotes is part of a row
 * where `quotes` says so; a row that grows too long ends at the next line end in any case, so that one quote too
 * many doesn't cost the rest of the file.
 *
 * @param from where the stream begins: a row's start
 */
export async function* splitRows(
  chunks: AsyncIterable<Uint8Array>,
  { quotes, from }: { quotes: boolean; from: { byte: number; line: number } },
): AsyncGenerator<RawRow> {
  let parts: Uint8Array[] = []
  let length = 0
  let tooLong = false
  let quoted = false
  let started = false
  let { byte, line } = from
  let nextLine = line

  function take(piece: Uint8Array): void {
    if (piece.length > 0) started = true
    length += piece.length
    if (length > ROW_BYTES) {
      tooLong = true
      parts = []
    } else if (!tooLong) parts.push(piece)
  }

  function finish(): RawRow {
    const whole = Buffer.concat(parts)
    const bytes = whole.at(-1) === RETURN ? whole.subarray(0, -1) : whole
    const row = { line, end: byte, nextLine, bytes: tooLong ? undefined : bytes }
    parts = []
    length = 0
    tooLong = false
    quoted = false
    started = false
    line = nextLine
    return row
  }

  /** Where the row that is being read ends within a chunk; -1 when it doesn't. */
  function endWithin(chunk: Uint8Array, start: number): number {
    if (!quotes || tooLong) {
      const at = chunk.indexOf(NEWLINE, start)
      if (at >= 0) nextLine++
      return at
    }
    for (let at = start; at < chunk.length; at++) {
      const value = chunk[at]
      if (value === QUOTE) quoted = !quoted
      if (value !== NEWLINE) continue
      nextLine++
      if (!quoted || length + at - start > ROW_BYTES) return at
    }
    return -1
  }

  for await (const chunk of chunks) {
    let start = 0
    for (let at = endWithin(chunk, 0); at >= 0; at = endWithin(chunk, start)) {
      take(chunk.subarray(start, at))
      byte += at + 1 - start
      start = at + 1
      yield finish()
    }
    take(chunk.subarray(start))
    byte += chunk.length - start
  }
  if (started) {
    nextLine++
    yield finish()
  }
}
