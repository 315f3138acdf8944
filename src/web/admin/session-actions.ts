import type Router from '@koa/router'
import type { Factors } from '../../admin/factors.ts'
import { idOf, readStrict } from '../account/input.ts'
import type { ConsoleDoor } from './console-door.ts'
import { goOn } from './done.ts'
import { PEOPLE_URL } from './people-pages.ts'

interface Dependencies {
  door: ConsoleDoor
  factors: Factors
}

/** Ending one session or one remembered browser: it only takes away, so nothing is asked. */
export function addSessionActions(router: Router, { door, factors }: Dependencies): void {
  router.post(
    `${PEOPLE_URL}/:id/sessions/:session/end`,
    door.form('people.help', async (ctx, { actor }) => {
      readStrict(ctx, {})
      await factors.endSession(actor, idOf(ctx), String(ctx.params?.session))
      goOn(ctx, `${PEOPLE_URL}/${idOf(ctx)}`, 'session-ended')
    }),
  )

  router.post(
    `${PEOPLE_URL}/:id/browsers/:browser/forget`,
    door.form('people.help', async (ctx, { actor }) => {
      readStrict(ctx, {})
      await factors.forgetBrowser(actor, idOf(ctx), String(ctx.params?.browser))
      goOn(ctx, `${PEOPLE_URL}/${idOf(ctx)}`, 'browser-forgotten')
    }),
  )
}
