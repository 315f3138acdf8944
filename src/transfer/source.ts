import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Refusal } from '../errors.ts'

/** Content that can be read from any place on. */
export interface Source {
  size: number
  read(from: number): AsyncIterable<Uint8Array>
}

/** As much of a file's beginning and of its end goes into what it is known again by. */
const KNOWN_BY_BYTES = 1024 * 1024

/** @throws Refusal when there is no such file, or it can't be read */
export async function fileSource(path: string): Promise<Source & { fingerprint: string }> {
  const file = await open(path).catch(unreadable)
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw new Refusal('file', 400, 'That is no file.')
    const { size } = stat
    const hash = createHash('sha256').update(`${size}\0`)
    for (const position of [0, Math.max(0, size - KNOWN_BY_BYTES)]) {
      const { buffer, bytesRead } = await file.read({
        buffer: Buffer.alloc(Math.min(size, KNOWN_BY_BYTES) || 1),
        position,
      })
      hash.update(buffer.subarray(0, bytesRead))
    }
    return {
      size,
      fingerprint: hash.digest('hex'),
      read: (from) => createReadStream(path, { start: from }),
    }
  } finally {
    await file.close()
  }
}

/** @throws Refusal in place of what the system says of a file */
export function unreadable(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
  throw new Refusal('file', 400, `The file can't be read${code}.`)
}
