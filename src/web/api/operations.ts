import type { Apps } from '../../admin/apps.ts'
import type { Factors } from '../../admin/factors.ts'
import type { Keys } from '../../admin/keys.ts'
import type { People } from '../../admin/people.ts'
import type { PhoneVerification } from '../../admin/phone-verification.ts'
import { clientRoutes } from './client-routes.ts'
import type { Cursors } from './cursors.ts'
import { factorRoutes } from './factor-routes.ts'
import { keyRoutes } from './key-routes.ts'
import { peopleRoutes } from './people-routes.ts'
import type { Route } from './route.ts'
import { sessionRoutes } from './session-routes.ts'

/** What the operations are carried out by. */
export interface Operations {
  cursors: Cursors
  people: People
  factors: Factors
  verification: PhoneVerification
  apps: Apps
  keys: Keys
}

/** Every operation of the API, in the order its document has them. */
export function operations(deps: Operations): Route[] {
  const { cursors, people, factors, verification } = deps
  return [
    ...peopleRoutes(people, cursors),
    ...factorRoutes(factors, verification),
    ...sessionRoutes(factors),
    ...clientRoutes(deps.apps, cursors),
    ...keyRoutes(deps.keys),
  ]
}
