import { z } from 'zod'
import { general } from './general-variables.ts'
import { messaging } from './messaging-variables.ts'

export { documentation } from './documentation.ts'

/** Every variable Sallyport reads, with its shape, default and meaning. The table in `docs/` is made from this. */
export const variables = z.object({ ...general, ...messaging })

export type Variables = z.output<typeof variables>
