import { type Actor, may } from '../../admin/permissions.ts'
import type { ListedAlert } from '../../alerts/alerts.ts'
import { CONSOLE_URL } from './console-app.ts'

/** An alert as pages show it: with the page that helps, where there is one. */
export interface ShownAlert extends ListedAlert {
  way: { url: string; label: string } | null
}

const GRAVITY: Record<ListedAlert['severity'], number> = { critical: 0, warning: 1, info: 2 }

/** What is so now, the gravest first. */
export function liveOf(actor: Actor, alerts: readonly ListedAlert[]): ShownAlert[] {
  return alerts
    .filter(({ endedAt }) => endedAt === null)
    .toSorted((a, b) => GRAVITY[a.severity] - GRAVITY[b.severity])
    .map((alert) => ({ ...alert, way: wayOf(actor, alert) }))
}

/** What one of the console's pages does about it; null where only the operator's own tools help. */
function wayOf(actor: Actor, { kind, subject }: ListedAlert): ShownAlert['way'] {
  const limits = { url: `${CONSOLE_URL}/limits`, label: 'Look at the limits' }
  switch (kind) {
    case 'country-paused':
      return may(actor, 'limits.write')
        ? { url: `${CONSOLE_URL}/limits/pauses/${subject}/lift`, label: 'Lift the pause' }
        : limits
    case 'budget':
    case 'number-block':
      return limits
    case 'gateway-down':
      return {
        url: `${CONSOLE_URL}/messages?gateway=${encodeURIComponent(subject ?? '')}`,
        label: 'See its messages',
      }
    case 'lock-storm':
      return { url: `${CONSOLE_URL}/audit`, label: 'Look at the audit trail' }
    default:
      return null
  }
}
