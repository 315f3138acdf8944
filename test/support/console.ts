import type { Role } from '../../src/accounts/account.ts'
import { signIn } from './account.ts'
import type { Route } from './console-routes.ts'
import { type Answer, createFlow, type FlowOptions } from './flow.ts'
import { type House, PHONES } from './house.ts'

const TOKEN = /name="form_token" value="([^"]+)"/

/** Makes an account with a role and a phone. */
export async function addAdmin(
  house: House,
  username: string,
  role: Role,
  phone: string = PHONES[0],
) {
  const account = await house.addAccount(username, phone)
  await house.rooms.accounts.setRole(account.id, role, { keepAdmin: false })
  return { ...account, role }
}

/** A browser in which somebody is at the console, signed in just now. */
export async function signInToConsole(
  house: House,
  username: string,
  { phone = PHONES[0], ...options }: { phone?: string } & FlowOptions = {},
) {
  const flow = createFlow(house, options)
  const arrived = await signIn(house, flow, await flow.request('/admin'), username, { phone })

  return {
    flow,
    arrived,
    get: (path: string) => flow.request(path),

    /** Asks for a page with a form, and sends the form as a browser would. */
    async submit(path: string, fields: Record<string, string> = {}): Promise<Answer> {
      const page = await flow.request(path)
      const token = TOKEN.exec(page.html)?.[1]
      if (token === undefined) return page
      const hidden = Object.fromEntries(
        [...page.html.matchAll(/type="hidden" name="(\w+)" value="([^"]*)"/g)].map(
          ([, name = '', value = '']) => [name, value],
        ),
      )
      return flow.post(path, { ...hidden, ...fields, form_token: token })
    },

    /** Sends a form with the token that is on a page, whether or not it is that page's form. */
    async send(page: string, path: string, fields: Record<string, string> = {}): Promise<Answer> {
      const token = TOKEN.exec((await flow.request(page)).html)?.[1] ?? ''
      return flow.post(path, { ...fields, form_token: token })
    },

    /** The words of a page, without its markup. */
    async text(path: string): Promise<string> {
      const { html } = await flow.request(path)
      return html.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ')
    },
  }
}

/** A route's address with real ids in it. */
export function addressOf({ path }: Route, ids: Record<string, string>): string {
  const of = path.includes('/apps/') ? 'app' : path.includes('/webhooks/') ? 'webhook' : 'id'
  return path.replace(/:(\w+)/g, (_, name: string) => ids[name === 'id' ? of : name] ?? '')
}

/** Sends a form. @returns where it led, and who is recorded to have done what to an account, and why */
export async function traceOf(house: House, accountId: string, act: () => Promise<Answer>) {
  const { last } = await house.db
    .selectFrom('audit_event')
    .select(({ fn }) => fn.max('id').as('last'))
    .executeTakeFirstOrThrow()
  const { location } = await act()
  const events = await house.db
    .selectFrom('audit_event')
    .select(['type', 'actor', 'detail'])
    .where('account_id', '=', accountId)
    .where('id', '>', last)
    .orderBy('id')
    .execute()
  return {
    to: location?.replace(`${house.issuer}/admin/people`, ''),
    events: events.map(({ type, actor, detail }) => [type, actor, detail.reason ?? null]),
  }
}
