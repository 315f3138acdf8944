import { once } from 'node:events'
import { z } from 'zod'
import { forkProcess, stopProcess } from './processes.ts'

/** The hash alone, in a process of its own. */
export async function startHashing() {
  const child = forkProcess('hash-process.ts')
  await once(child, 'message')
  const figures = z.object({ rate: z.number(), cpuMs: z.number() })
  return {
    async judge(job: { concurrency: number; seconds: number; inTurn: boolean }) {
      child.send(job)
      const [told] = await once(child, 'message')
      return figures.parse(told)
    },
    stop: () => stopProcess(child),
  }
}
