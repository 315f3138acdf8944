import type { Bypass } from '../../admin/bypass.ts'
import type { Factors } from '../../admin/factors.ts'
import type { People } from '../../admin/people.ts'
import type { PhoneVerification } from '../../admin/phone-verification.ts'
import type { Resending } from '../../admin/resending.ts'
import type { Trail } from '../../admin/trail.ts'
import { auditRoutes } from './audit-routes.ts'
import type { Cursors } from './cursors.ts'
import { factorRoutes } from './factor-routes.ts'
import { helpRoutes } from './help-routes.ts'
import { peopleRoutes } from './people-routes.ts'
import type { Route } from './route.ts'
import { sessionRoutes } from './session-routes.ts'

/** What the operations are carried out by. */
export interface Operations {
  cursors: Cursors
  people: People
  factors: Factors
  verification: PhoneVerification
  bypass: Bypass
  resending: Resending
  trail: Trail
}

/** Every operation of the API, in the order its document has them. */
export function operations(deps: Operations): Route[] {
  const { cursors, people, factors, verification, bypass, resending, trail } = deps
  return [
    ...peopleRoutes(people, cursors),
    ...factorRoutes(factors, verification),
    ...sessionRoutes(factors),
    ...helpRoutes(bypass, resending),
    ...auditRoutes(trail, cursors),
  ]
}
