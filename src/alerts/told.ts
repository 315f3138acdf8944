import { z } from 'zod'
import { condition } from './kinds.ts'
import { describe, unknownWords, type Words } from './words.ts'

/** An alert as the database keeps it, and as it was when somebody was told. */
export const stored = z.object({
  name: z.string(),
  kind: z.string(),
  subject: z.string().nullable(),
  detail: z.unknown(),
  raisedAt: z.coerce.date(),
  endedAt: z.coerce.date().nullable(),
})

export type StoredAlert = z.output<typeof stored>

/** An alert with its words. */
export interface Alert extends Words {
  name: string
  kind: string
  /** which gateway, country, column or budget */
  subject: string | null
  detail: unknown
  raisedAt: Date
  endedAt: Date | null
}

const TEST: Words = {
  severity: 'info',
  title: 'A test, which somebody asked for',
  whatToDo: 'Nothing: it arrived.',
}

export function inWords(alert: StoredAlert): Alert {
  const { name, kind, subject, detail, raisedAt, endedAt } = alert
  const known = condition.safeParse({ kind, subject, detail })
  const words = kind === 'test' ? TEST : known.success ? describe(known.data) : unknownWords(name)
  return { name, kind, subject, ...words, detail, raisedAt, endedAt }
}
