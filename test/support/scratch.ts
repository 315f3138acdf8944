import { chmodSync, existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where Linux keeps files in memory; a container may have very little of it. */
const IN_MEMORY = '/dev/shm'
const GIGABYTE = 2 ** 30
/** Several times what a run has there at any moment. */
const ROOM = 2 * GIGABYTE

/**
 * Makes the directory for all temporary files of a run, those of its database server, too: in memory where there is
 * room. Each test database is three hundred files that live for seconds, and a disk takes eight times as long for them.
 * @returns what removes it again
 */
export function openScratch(): () => void {
  const before = process.env.TMPDIR
  const directory = mkdtempSync(join(roomInMemory() ? IN_MEMORY : tmpdir(), 'sallyport-'))
  // Run by root, the server is another user's, who has to get to its own directory in there.
  chmodSync(directory, 0o711)
  process.env.TMPDIR = directory
  return () => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    rmSync(directory, { recursive: true, force: true })
  }
}

function roomInMemory(): boolean {
  if (!existsSync(IN_MEMORY)) return false
  const { bavail, bsize } = statfsSync(IN_MEMORY)
  return bavail * bsize > ROOM && process.availableMemory() > 2 * ROOM
}
