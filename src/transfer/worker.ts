import type { Log } from '../log.ts'
import { createWorker } from '../messaging/worker.ts'
import type { Imports } from './imports.ts'

const EVERY_MS = 10_000

/** Works off uploads in the background, one at a time in each instance. */
export function createImportWorker({ imports, log }: { imports: Imports; log: Log }) {
  const stopping = new AbortController()
  const worker = createWorker(
    () => imports.workOff(stopping.signal),
    EVERY_MS,
    (error) => log.warn({ error }, 'an import was put off'),
  )

  return {
    start: worker.start,
    wake: worker.wake,

    /** Stops behind the rows that are being written. */
    stop(): void {
      stopping.abort()
      worker.stop()
    },
    idle: worker.idle,
  }
}
