import Router from '@koa/router'
import { type Permission, rolesWith } from '../../src/admin/permissions.ts'
import { createConsoleSection } from '../../src/web/admin/section.ts'

/** The console's routes are told of and nothing is asked of them, so nothing need be behind them. */
// biome-ignore lint/suspicious/noExplicitAny: it stands for whatever is asked of it
const NOTHING: any = new Proxy(() => NOTHING, { get: () => NOTHING, apply: () => NOTHING })

/** Every route of the console as `METHOD path`, as the code itself has them. */
export function consoleRoutes(): string[] {
  const router = new Router()
  const deps = { ...NOTHING, issuer: 'https://login.example', forms: NOTHING }
  createConsoleSection(deps)(NOTHING)(router)
  return router.stack.flatMap(({ path, methods }) =>
    methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${String(path)}`),
  )
}

/** Open to everybody: the ways in and out, and the link that makes the first admin (ADM-02). */
export const OPEN = [
  'GET /admin/callback',
  'GET /admin/left',
  'GET /admin/sign-out',
  'GET /admin/bootstrap/:token',
  'POST /admin/bootstrap/:token',
]

const both = (path: string) => [`GET ${path}`, `POST ${path}`]
const onPerson = (...verbs: string[]) => verbs.flatMap((verb) => both(`/admin/people/:id/${verb}`))

/** Which permission each route takes, said once more: a page that isn't named here is refused by the first test. */
const NEEDS: ReadonlyArray<[Permission, string[]]> = [
  ['dashboard.read', ['GET /admin', 'GET /admin/alerts']],
  ['people.read', ['GET /admin/people', 'GET /admin/people/:id']],
  [
    'people.write',
    [
      ...both('/admin/people/new'),
      ...onPerson('edit', 'disable', 'enable', 'erase', 'backup-codes', 'phones/add'),
      ...onPerson('phones/:phone/primary', 'phones/:phone/remove'),
      ...onPerson('phones/:phone/send-code', 'phones/:phone/verify'),
    ],
  ],
  [
    'people.help',
    [
      ...onPerson('unlock', 'invite', 'reset-factors', 'end-sessions', 'forget-browsers'),
      ...onPerson('resend-code', 'bypass-code'),
      ...onPerson('bypass-codes/:code/end'),
      'POST /admin/people/:id/sessions/:session/end',
      'POST /admin/people/:id/browsers/:browser/forget',
    ],
  ],
  ['bypass.approve', onPerson('bypass-codes/:code/approve')],
  ['people.export', ['GET /admin/people/:id/export']],
  [
    'people.import',
    [
      'GET /admin/people/import',
      ...both('/admin/people/import/new'),
      'GET /admin/people/import/:job',
      'POST /admin/people/import/:job/file',
      'POST /admin/people/import/:job/cancel',
    ],
  ],
  ['roles.write', onPerson('role')],
  ['apps.read', ['GET /admin/apps', 'GET /admin/apps/:id']],
  [
    'apps.write',
    ['new', ':id/edit', ':id/secret', ':id/delete'].flatMap((each) => both(`/admin/apps/${each}`)),
  ],
  ['keys.read', ['GET /admin/keys']],
  ['keys.write', [...both('/admin/keys/rotate'), ...both('/admin/keys/rotate-now')]],
  ['messages.read', ['GET /admin/messages']],
  ['limits.read', ['GET /admin/limits']],
  ['limits.write', both('/admin/limits/pauses/:country/lift')],
  ['audit.read', ['GET /admin/audit', 'GET /admin/audit/export']],
  ['settings.read', ['GET /admin/settings']],
  ['webhooks.read', ['GET /admin/alerts/webhooks/:id']],
  [
    'webhooks.write',
    [
      'POST /admin/alerts/webhooks/:id/test',
      ...['new', ':id/edit', ':id/enable', ':id/disable', ':id/secret', ':id/remove'].flatMap(
        (each) => both(`/admin/alerts/webhooks/${each}`),
      ),
    ],
  ],
]

export interface Route {
  method: string
  path: string
  roles: readonly string[]
}

export const ROUTES: Route[] = NEEDS.flatMap(([permission, all]) =>
  all.map((route) => {
    const [method = '', path = ''] = route.split(' ')
    return { method, path, roles: rolesWith(permission) }
  }),
)
export const PAGES = ROUTES.filter(({ method }) => method === 'GET')
export const FORMS = ROUTES.filter(({ method }) => method === 'POST')
