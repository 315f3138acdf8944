import type { z } from 'zod'

/** What the configuration table in `docs/` shows of a variable beside its schema. */
interface Doc {
  meaning: string
  example: string
  /** shown instead of the schema's default where that is computed elsewhere */
  otherwise?: string
  secret?: true
}

const docs = new Map<string, Doc>()
export const documentation: ReadonlyMap<string, Doc> = docs

export function variable<T extends z.ZodType>(name: string, schema: T, doc: Doc): T {
  docs.set(name, doc)
  return schema
}
