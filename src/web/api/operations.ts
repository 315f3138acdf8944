import type { Factors } from '../../admin/factors.ts'
import type { People } from '../../admin/people.ts'
import type { PhoneVerification } from '../../admin/phone-verification.ts'
import type { Receivers } from '../../admin/receivers.ts'
import type { Traffic } from '../../admin/traffic.ts'
import type { Cursors } from './cursors.ts'
import { factorRoutes } from './factor-routes.ts'
import { peopleRoutes } from './people-routes.ts'
import type { Route } from './route.ts'
import { sessionRoutes } from './session-routes.ts'
import { trafficRoutes } from './traffic-routes.ts'
import { webhookRoutes } from './webhook-routes.ts'

/** What the operations are carried out by. */
export interface Operations {
  cursors: Cursors
  people: People
  factors: Factors
  verification: PhoneVerification
  traffic: Traffic
  receivers: Receivers
}

/** Every operation of the API, in the order its document has them. */
export function operations(given: Operations): Route[] {
  const { cursors, people, factors, verification, traffic, receivers } = given
  return [
    ...peopleRoutes(people, cursors),
    ...factorRoutes(factors, verification),
    ...sessionRoutes(factors),
    ...trafficRoutes(traffic, cursors),
    ...webhookRoutes(receivers),
  ]
}
