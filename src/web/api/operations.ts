import type { Factors } from '../../admin/factors.ts'
import type { People } from '../../admin/people.ts'
import type { PhoneVerification } from '../../admin/phone-verification.ts'
import type { Cursors } from './cursors.ts'
import { factorRoutes } from './factor-routes.ts'
import { peopleRoutes } from './people-routes.ts'
import type { Route } from './route.ts'
import { sessionRoutes } from './session-routes.ts'

/** What the operations are carried out by. */
export interface Operations {
  cursors: Cursors
  people: People
  factors: Factors
  verification: PhoneVerification
}

/** Every operation of the API, in the order its document has them. */
export function operations({ cursors, people, factors, verification }: Operations): Route[] {
  return [
    ...peopleRoutes(people, cursors),
    ...factorRoutes(factors, verification),
    ...sessionRoutes(factors),
  ]
}
