import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Each value as JSON on a line of its own. */
export async function* asLines(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield `${JSON.stringify(value)}\n`
}

/** All values as one JSON array. */
export async function* asArray(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  let before = '['
  for await (const value of values) {
    yield `${before}${JSON.stringify(value)}`
    before = ',\n'
  }
  yield before === '[' ? '[]\n' : ']\n'
}

/** Writes as fast as it is read, and stops when nobody reads any more, as behind `| head`. */
export async function write(parts: AsyncIterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(parts), process.stdout, { end: false })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error
  }
}
