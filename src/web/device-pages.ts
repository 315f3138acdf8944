import type { Middleware } from 'koa'
import type { MessageKey } from '../languages/language.ts'
import type { DevicePages, DeviceProblem } from '../oidc/device-flow.ts'
import { SHARED } from './consent.ts'
import type { Pages } from './pages.ts'

/** Where people type the code, by the path under which the provider's router takes it. */
const PATH = /^\/device\/?$/i
const LONGEST_CODE = 32

const PROBLEMS: Readonly<Record<DeviceProblem, { status: number; message: MessageKey }>> = {
  missing: { status: 400, message: 'device.missing' },
  wrong: { status: 400, message: 'device.wrong' },
  used: { status: 400, message: 'device.used' },
  limited: { status: 429, message: 'device.limited' },
  over: { status: 400, message: 'device.over' },
}

const ENDS: Readonly<
  Record<
    'connected' | 'refused' | 'over',
    { status: number; title: MessageKey; message: MessageKey }
  >
> = {
  connected: { status: 200, title: 'device.connectedTitle', message: 'device.connected' },
  refused: { status: 200, title: 'device.refusedTitle', message: 'device.refused' },
  over: { status: 400, title: 'device.title', message: 'device.over' },
}

/**
 * Takes the code out of an address that has it already (`verification_uri_complete`): our page shows it in its field,
 * for the person to compare and send, where the provider would have a script send it.
 */
export const keepUserCode: Middleware = (ctx, next) => {
  if (ctx.method === 'GET' && PATH.test(ctx.path)) {
    const { user_code: code, ...rest } = ctx.query
    if (typeof code === 'string') ctx.state.userCode = code.slice(0, LONGEST_CODE)
    ctx.query = rest
  }
  return next()
}

/** The pages on which people connect a TV or a command line. */
export function createDevicePages(pages: Pages): Omit<DevicePages, 'error'> {
  return {
    ask(ctx, form, problem, waitSeconds) {
      const { status, message } = problem ? PROBLEMS[problem] : { status: 200, message: null }
      if (waitSeconds !== undefined) ctx.set('Retry-After', String(waitSeconds))
      const typed: unknown = ctx.oidc.params?.user_code ?? ctx.state.userCode
      pages.show(ctx, status, 'device', {
        ...form,
        userCode: typeof typed === 'string' ? typed.slice(0, LONGEST_CODE) : '',
        error: message && pages.say(ctx, message),
        retryInMinutes: waitSeconds === undefined ? null : Math.ceil(waitSeconds / 60),
      })
    },

    confirm(ctx, form, { app, code, scopes }) {
      pages.show(ctx, 200, 'device-confirm', {
        ...form,
        app,
        code,
        items: scopes.map((scope) => {
          const shared = SHARED[scope]
          return shared ? pages.say(ctx, shared.title) : scope
        }),
      })
    },

    told(ctx, how) {
      const { status, title, message } = ENDS[how]
      pages.show(ctx, status, 'device-told', {
        title: pages.say(ctx, title),
        message: pages.say(ctx, message),
        againUrl: how === 'over' ? ctx.oidc.urlFor('code_verification') : null,
      })
    },
  }
}
