import type Router from '@koa/router'
import { z } from 'zod'
import type { Budget, Budgets, Traffic } from '../../admin/traffic.ts'
import { BUDGET_PERCENT } from '../../alerts/kinds.ts'
import { type Overview, RANGE_NAMES } from '../../statistics/overview.ts'
import { liveOf } from './alert-ways.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'
import { figuresOf } from './figures.ts'
import { countText, moneyText, secondsText, shareText } from './formats.ts'

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  traffic: Traffic
}

const query = z.object({ range: z.enum(RANGE_NAMES).catch('day') })

/** The first page of the console: what is wrong, then how the traffic goes. */
export function addOverview(router: Router, { door, pages, traffic }: Dependencies): void {
  router.get(
    CONSOLE_URL,
    door.page('dashboard.read', async (ctx, who) => {
      const { range } = query.parse(ctx.query)
      const [overview, alerts, budgets] = await Promise.all([
        traffic.overview(who.actor, range),
        traffic.alerts(who.actor),
        traffic.budgets(who.actor),
      ])
      pages.show(ctx, who, 'overview', {
        ranges: RANGE_NAMES.map((name) => ({
          label: name,
          url: `${CONSOLE_URL}?range=${name}`,
          current: name === range,
        })),
        alerts: liveOf(who.actor, alerts),
        tiles: tilesOf(overview),
        meters: metersOf(budgets),
        figures: figuresOf(overview),
        asOf: new Date(overview.asOf),
        bucketSeconds: overview.bucketSeconds,
        currency: overview.cost?.currency ?? null,
        unpriced: overview.cost?.unpriced ? countText(overview.cost.unpriced) : null,
      })
    }),
  )
}

/** The key figures, each with what puts it into proportion. */
function tilesOf({ totals, cost }: Overview) {
  const ofAsked = (some: number) =>
    totals.asked > 0 ? `${shareText(some / totals.asked)} of asked` : ''
  return [
    { label: 'Sign-ins', value: countText(totals.signIns), more: '' },
    { label: 'Codes asked for', value: countText(totals.asked), more: '' },
    { label: 'Sent', value: countText(totals.sent), more: ofAsked(totals.sent) },
    { label: 'Delivered', value: countText(totals.delivered), more: ofAsked(totals.delivered) },
    { label: 'Right code', value: countText(totals.passed), more: ofAsked(totals.passed) },
    {
      label: 'Conversion',
      value: totals.conversion === null ? '–' : shareText(totals.conversion),
      more: 'right codes of those sent',
    },
    {
      label: 'Median time',
      value: totals.medianSeconds === null ? '–' : secondsText(totals.medianSeconds),
      more: 'to the right code, estimated',
    },
    {
      label: 'Cost',
      value: cost === null || cost.total === null ? '–' : moneyText(cost.total, cost.currency),
      more: cost === null ? 'no prices are set' : 'estimated',
    },
  ]
}

/** How much of the budgets is used; from `BUDGET_PERCENT` on, that is an alert. */
export function metersOf({ hour, day }: Budgets) {
  return [meter('Texts this hour', hour), meter('Texts this day', day)]
}

function meter(label: string, { sends, limit }: Budget) {
  const share = sends / limit
  return {
    label,
    sends,
    limit,
    text: `${countText(sends)} of ${countText(limit)}`,
    share: shareText(share),
    state: share >= 1 ? 'full' : share * 100 >= BUDGET_PERCENT ? 'high' : 'fine',
  }
}
