import { z } from 'zod'

export const ALERT_KINDS = [
  'budget',
  'country-paused',
  'decrypt-failures',
  'gateway-down',
  'lock-storm',
  'number-block',
] as const

export type AlertKind = (typeof ALERT_KINDS)[number]

/** Locks of accounts within `LOCK_STORM_SECONDS` from which on they are one matter, and not that of many people. */
export const LOCK_STORM = 20
export const LOCK_STORM_SECONDS = 600

/** Share of a budget, in percent, at which somebody should look. */
export const BUDGET_PERCENT = 80

/** How long a number block that was full is of interest, as long as its alert isn't told again. */
export const NUMBER_BLOCK_SECONDS = 3600

/** Past that, a gateway's failure is old news, even if nothing was sent by it since. */
export const GATEWAY_FAILURE_SECONDS = 24 * 3600

/** An alert ends when it wasn't found for so long: what comes and goes is told once. */
export const CALM_SECONDS: Record<AlertKind, number> = {
  budget: 300,
  'country-paused': 300,
  // Nothing tells that values can be opened again but that none fails.
  'decrypt-failures': 3600,
  'gateway-down': 300,
  'lock-storm': 300,
  'number-block': 300,
}

const country = z.string()
const none = z.object({})

/** What can be so, and what is known of it. Nothing in it is about a person. */
export const condition = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('budget'),
    subject: z.enum(['hour', 'day']),
    detail: z.object({ sends: z.number(), limit: z.number(), percent: z.number() }),
  }),
  z.object({
    kind: z.literal('country-paused'),
    subject: country,
    /** `until`: if nobody types a code */
    detail: z.object({ until: z.string() }),
  }),
  z.object({ kind: z.literal('decrypt-failures'), subject: z.string(), detail: none }),
  z.object({
    kind: z.literal('gateway-down'),
    subject: z.string(),
    /** `failure`: class of the last one */
    detail: z.object({ failure: z.string() }),
  }),
  z.object({
    kind: z.literal('lock-storm'),
    subject: z.null(),
    detail: z.object({ locks: z.number() }),
  }),
  z.object({ kind: z.literal('number-block'), subject: country, detail: none }),
])

export type Condition = z.output<typeof condition>

/** Under which an alert is known: there is one of each name at a time. */
export function nameOf({ kind, subject }: Condition): string {
  return subject === null ? kind : `${kind}:${subject}`
}
