import { z } from 'zod'

/** What the driver is asked to do, and what it tells of it. */

export const job = z.object({
  what: z.enum(['password', 'texted', 'refresh', 'discovery', 'jwks']),
  port: z.number(),
  /** the app's id and secret */
  client: z.string(),
  secret: z.string(),
  /** how many have an account; the first ones have a phone */
  people: z.number(),
  concurrency: z.number(),
  seconds: z.number(),
  /** how many a second; as many as there can be without it */
  rate: z.number().optional(),
  /** how many in all, however long they take */
  times: z.number().optional(),
})
export type Job = z.output<typeof job>

export const outcome = z.object({
  done: z.number(),
  errors: z.number(),
  /** some of what went wrong */
  faults: z.array(z.string()),
  seconds: z.number(),
  /** of the whole thing, in milliseconds */
  p50: z.number(),
  p95: z.number(),
  p99: z.number(),
  /** of single requests */
  requestP95: z.number(),
  driverCpuMs: z.number(),
})
export type Outcome = z.output<typeof outcome>

export const told = z.union([
  z.object({
    gateway: z.object({ baseUrl: z.string(), apiKey: z.string(), deviceId: z.string() }),
  }),
  z.object({ begun: z.literal(true) }),
  z.object({ outcome }),
  z.object({ failed: z.string() }),
])
