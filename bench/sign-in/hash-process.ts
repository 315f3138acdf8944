import process from 'node:process'
import { hash, verify } from '@node-rs/argon2'
import { z } from 'zod'
import { COST, createPasswords } from '../../src/accounts/passwords.ts'
import { PASSWORD } from './people.ts'

/** Passwords judged and nothing else: as many at a time as Sallyport does, or all that are asked for at once. */

const wanted = z.object({
  concurrency: z.number(),
  seconds: z.number(),
  inTurn: z.boolean(),
})
const passwords = createPasswords()
const stored = await hash(PASSWORD, { ...COST, algorithm: 2 })

process.on('message', (message) => {
  void judge(wanted.parse(message)).then((figures) => process.send?.(figures))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function judge({ concurrency, seconds, inTurn }: z.output<typeof wanted>) {
  const cpu = process.cpuUsage()
  const began = performance.now()
  const elapsed = () => (performance.now() - began) / 1000
  let done = 0
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (elapsed() < seconds) {
        await (inTurn ? passwords.verify(stored, PASSWORD) : verify(stored, PASSWORD))
        done++
      }
    }),
  )
  const { user, system } = process.cpuUsage(cpu)
  return { rate: done / elapsed(), cpuMs: (user + system) / 1000 / done }
}
