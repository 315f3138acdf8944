import { z } from 'zod'
import { alerts } from './alert-variables.ts'
import { guideGateways } from './gateway-variables.ts'
import { general } from './general-variables.ts'
import { messaging } from './messaging-variables.ts'
import { moreGateways } from './more-gateway-variables.ts'
import { prices } from './price-variables.ts'
import { tracing } from './tracing-variables.ts'

export { documentation } from './documentation.ts'

/** Every variable Sallyport reads, with its shape, default and meaning. The table in `docs/` is made from this. */
export const variables = z.object({
  ...general,
  ...messaging,
  ...prices,
  ...alerts,
  ...tracing,
  ...guideGateways,
  ...moreGateways,
})

export type Variables = z.output<typeof variables>

/** What a variable is where it isn't set, by its schema alone; undefined where that is nothing. */
export function defaultOf(name: string): string | undefined {
  const [, schema] = Object.entries(variables.shape).find(([key]) => key === name) ?? []
  if (!schema) throw new Error(`${name} is documented but not in the schema`)
  const value: unknown = schema.parse(undefined)
  return value === undefined ? undefined : String(value)
}
