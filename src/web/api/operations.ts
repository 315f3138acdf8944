import type { AdminApis } from '../../admin/apis.ts'
import type { Apps } from '../../admin/apps.ts'
import type { Bypass } from '../../admin/bypass.ts'
import type { Factors } from '../../admin/factors.ts'
import type { Keys } from '../../admin/keys.ts'
import type { People } from '../../admin/people.ts'
import type { PhoneVerification } from '../../admin/phone-verification.ts'
import type { Receivers } from '../../admin/receivers.ts'
import type { Resending } from '../../admin/resending.ts'
import type { Traffic } from '../../admin/traffic.ts'
import type { Trail } from '../../admin/trail.ts'
import type { Transfers } from '../../admin/transfers.ts'
import { apiRoutes } from './api-routes.ts'
import { auditRoutes } from './audit-routes.ts'
import { clientRoutes } from './client-routes.ts'
import type { Cursors } from './cursors.ts'
import { factorRoutes } from './factor-routes.ts'
import { helpRoutes } from './help-routes.ts'
import { keyRoutes } from './key-routes.ts'
import { peopleRoutes } from './people-routes.ts'
import type { Route } from './route.ts'
import { sessionRoutes } from './session-routes.ts'
import { trafficRoutes } from './traffic-routes.ts'
import { transferRoutes } from './transfer-routes.ts'
import { webhookRoutes } from './webhook-routes.ts'

/** What the operations are carried out by. */
export interface Operations {
  cursors: Cursors
  people: People
  factors: Factors
  verification: PhoneVerification
  apps: Apps
  apis: AdminApis
  keys: Keys
  traffic: Traffic
  transfers: Transfers
  receivers: Receivers
  bypass: Bypass
  resending: Resending
  trail: Trail
}

/** Every operation of the API, in the order its document has them. */
export function operations(deps: Operations): Route[] {
  const { cursors, people, factors, verification } = deps
  return [
    ...peopleRoutes(people, cursors),
    ...factorRoutes(factors, verification),
    ...sessionRoutes(factors),
    ...clientRoutes(deps.apps, cursors),
    ...apiRoutes(deps.apis),
    ...keyRoutes(deps.keys),
    ...trafficRoutes(deps.traffic, cursors),
    ...webhookRoutes(deps.receivers),
    ...transferRoutes(deps.transfers),
    ...helpRoutes(deps.bypass, deps.resending),
    ...auditRoutes(deps.trail, cursors),
  ]
}
