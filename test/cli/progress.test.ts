import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createProgressBar } from '../../src/cli/progress.ts'
import type { Progress } from '../../src/transfer/runner.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'], now: 0 })
  vi.advanceTimersByTime(1000)
})
afterEach(() => {
  vi.useRealTimers()
})

/** Standard error, as far as a bar uses it. */
function createStream(isTTY: boolean) {
  const written: string[] = []
  return { written, isTTY, write: (text: string) => written.push(text) > 0 }
}

const CLEAR = '\r\u001b[K'

function soFar(bytesDone: number, created: number): Progress {
  return { bytesDone, bytesTotal: 200, created, updated: 1, failed: 1 }
}

test('a terminal is shown the share and the pace, now and then, and gets its line back', () => {
  const terminal = createStream(true)
  const bar = createProgressBar(terminal)
  bar.show(soFar(50, 3))
  bar.show(soFar(60, 4))
  vi.advanceTimersByTime(2000)
  bar.show(soFar(200, 103))
  bar.end()
  expect(terminal.written).toEqual([
    `${CLEAR}[######..................] 25 %  5 rows, 0 a second`,
    `${CLEAR}[########################] 100 %  105 rows, 50 a second`,
    CLEAR,
  ])
})

test('what is no terminal gets nothing, nor does one on which nothing was shown', () => {
  const file = createStream(false)
  const bar = createProgressBar(file)
  bar.show(soFar(50, 3))
  bar.end()
  const terminal = createStream(true)
  createProgressBar(terminal).end()
  expect([...file.written, ...terminal.written]).toEqual([])
})
