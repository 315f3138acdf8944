import type Router from '@koa/router'
import type { Bypass } from '../../admin/bypass.ts'
import type { Factors } from '../../admin/factors.ts'
import type { People } from '../../admin/people.ts'
import { assertMayTouch } from '../../admin/permissions.ts'
import type { Resending } from '../../admin/resending.ts'
import type { Trail } from '../../admin/trail.ts'
import type { Audit } from '../../audit/audit.ts'
import { EVENT_TYPES } from '../../audit/event.ts'
import { Refusal } from '../../errors.ts'
import type { Delivery } from '../../second-factor/look.ts'
import { idOf } from '../account/input.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'
import { PEOPLE_URL } from './people-pages.ts'
import type { Who } from './who.ts'

const EVENTS = 15

/** What became of a code, in words. */
const DELIVERIES: Record<Delivery, string> = {
  sending: 'is on its way',
  accepted: 'was sent',
  delivered: 'was delivered',
  undelivered: 'was sent, and not delivered',
  overdue: 'was sent, and should have arrived',
  failed: 'was not sent: no gateway took it',
  unconfirmed: 'may have been sent: no gateway said so',
}

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  people: People
  factors: Factors
  bypass: Bypass
  resending: Resending
  audit: Audit
  trail: Trail
}

/** A person's page: everything about them, and the ways to what can be done. */
export function addPersonPage(router: Router, deps: Dependencies) {
  const { door, pages, people, factors, bypass, resending, audit, trail } = deps

  router.get(
    `${PEOPLE_URL}/:id`,
    door.page('people.read', async (ctx, who) => {
      const id = idOf(ctx)
      const person = await people.get(who.actor, id)
      const [locks, phones, others, browsers, sessions, apps, codes, signIn, events] =
        await Promise.all([
          people.locks(who.actor, id),
          factors.phones(who.actor, id),
          factors.others(who.actor, id),
          factors.browsers(who.actor, id),
          factors.sessions(who.actor, id),
          factors.apps(who.actor, id),
          bypass.list(who.actor, id),
          resending.look(who.actor, id),
          audit.history(id, EVENT_TYPES, EVENTS),
        ])
      const code = codes[0]
      const actors = [...events.map(({ actor }) => actor), code?.createdBy, code?.approvedBy]
      const nameOf = await trail.namer(
        who.actor,
        actors.filter((actor) => typeof actor === 'string'),
      )
      pages.show(ctx, who, 'person', {
        person,
        locks,
        phones,
        others,
        browsers,
        sessions,
        apps,
        code: code ?? null,
        nameOf,
        signIn: signIn && { ...signIn, message: DELIVERIES[signIn.delivery] },
        events,
        untouchable: whyUntouchable(who, person),
      })
    }),
  )
}

/** Why nothing can be done to this account by whoever looks at it; null where something can. */
function whyUntouchable(
  { actor }: Who,
  person: Parameters<typeof assertMayTouch>[1],
): string | null {
  try {
    assertMayTouch(actor, person)
    return null
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}
