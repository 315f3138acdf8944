import type { WriteStream } from 'node:tty'
import type { Progress } from '../transfer/runner.ts'

const CELLS = 24
const EVERY_MS = 200

/** A bar on a terminal's standard error for work whose size is known before; nothing elsewhere. */
export function createCountBar(
  total: number,
  stderr: Pick<WriteStream, 'isTTY' | 'write'> = process.stderr,
) {
  let told = 0
  return {
    show(done: number): void {
      if (!stderr.isTTY || performance.now() - told < EVERY_MS) return
      told = performance.now()
      const share = total === 0 ? 1 : Math.min(1, done / total)
      stderr.write(`\r\u001b[K${cells(share)} ${done} of ${total}`)
    },

    /** Leaves the line to what comes next. */
    end(): void {
      if (stderr.isTTY && told > 0) stderr.write('\r\u001b[K')
    },
  }
}

function cells(share: number): string {
  const full = Math.round(share * CELLS)
  return `[${'#'.repeat(full)}${'.'.repeat(CELLS - full)}] ${Math.floor(share * 100)} %`
}

/** A bar on a terminal's standard error, that says how far an import has come and how fast; nothing elsewhere. */
export function createProgressBar(stderr: Pick<WriteStream, 'isTTY' | 'write'> = process.stderr) {
  const begun = performance.now()
  let told = 0
  let before: number | undefined

  function line({ bytesDone, bytesTotal, ...counts }: Progress): string {
    const rows = counts.created + counts.updated + counts.failed
    // An import that is resumed has rows that took no time of this one.
    before ??= rows
    const share = bytesTotal === 0 ? 1 : Math.min(1, bytesDone / bytesTotal)
    const seconds = Math.max(0.001, (performance.now() - begun) / 1000)
    const pace = Math.round((rows - before) / seconds)
    return `${cells(share)}  ${rows} rows, ${pace} a second`
  }

  return {
    show(progress: Progress): void {
      if (!stderr.isTTY || performance.now() - told < EVERY_MS) return
      told = performance.now()
      stderr.write(`\r\u001b[K${line(progress)}`)
    },

    /** Leaves the line to what comes next. */
    end(): void {
      if (stderr.isTTY && told > 0) stderr.write('\r\u001b[K')
    },
  }
}
