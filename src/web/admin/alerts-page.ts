import type Router from '@koa/router'
import { may } from '../../admin/permissions.ts'
import type { Receivers } from '../../admin/receivers.ts'
import type { Traffic } from '../../admin/traffic.ts'
import { liveOf } from './alert-ways.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'

export const ALERTS_URL = `${CONSOLE_URL}/alerts`

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  traffic: Traffic
  receivers: Receivers
}

/** What is wrong and what was, and who is told of it. */
export function addAlerts(router: Router, deps: Dependencies): void {
  const { door, pages, traffic, receivers } = deps

  router.get(
    ALERTS_URL,
    door.page('dashboard.read', async (ctx, who) => {
      const { actor } = who
      const seesWebhooks = may(actor, 'webhooks.read')
      const [alerts, webhooks] = await Promise.all([
        traffic.alerts(actor),
        seesWebhooks ? receivers.list(actor) : [],
      ])
      pages.show(ctx, who, 'alerts', {
        live: liveOf(actor, alerts),
        past: alerts.filter(({ endedAt }) => endedAt !== null),
        seesWebhooks,
        webhooks,
      })
    }),
  )
}
