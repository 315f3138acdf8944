import type { Role } from '../../src/accounts/account.ts'
import { signIn } from './account.ts'
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

    /** The words of a page, without its markup. */
    async text(path: string): Promise<string> {
      const { html } = await flow.request(path)
      return html.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ')
    },
  }
}
