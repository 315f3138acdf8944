import { type Answer, createFlow, type Flow, type FlowOptions } from './flow.ts'
import { type House, PHONES } from './house.ts'

export type Visit = Awaited<ReturnType<typeof signInToAccount>>

const TOKEN = /name="form_token" value="([^"]+)"/

/** Follows redirects from an answer to the first page. */
export async function follow(flow: Flow, answer: Answer): Promise<Answer> {
  let at = answer
  for (let hops = 0; at.location && hops < 8; hops++) at = await flow.request(at.location)
  return at
}

/** What a person shows beside the password; a phone of null for nothing. */
interface Proof {
  phone?: string | null
  backupCode?: string
}

/** Goes through the sign-in that an answer leads to, and on to the page behind it. */
export async function signIn(
  house: House,
  flow: Flow,
  answer: Answer,
  username: string,
  { phone = PHONES[0], backupCode }: Proof = {},
): Promise<Answer> {
  let at = answer
  while (at.location && !at.location.includes('/interaction/')) at = await flow.request(at.location)
  await flow.arrive(at.location ?? '')
  const password = await flow.password(username)
  if (backupCode) return follow(flow, await flow.step('backup-code', { code: backupCode }))
  return follow(flow, phone === null ? password : await flow.code(house.lastCode(phone)))
}

/** A person's browser at their own pages, signed in just now. */
export async function signInToAccount(
  house: House,
  username: string,
  { phone, backupCode, ...options }: Proof & FlowOptions = {},
) {
  const flow = createFlow(house, options)
  const proof = { ...(phone !== undefined && { phone }), ...(backupCode && { backupCode }) }
  const arrived = await signIn(house, flow, await flow.request('/account'), username, proof)
  const token = TOKEN.exec((await flow.request('/account/password')).html)?.[1] ?? ''

  return {
    flow,
    arrived,
    token,
    get: (path: string) => flow.request(path),

    post(path: string, fields: Record<string, string> = {}): Promise<Answer> {
      return flow.post(path, { form_token: token, ...fields })
    },

    /** Adds a number, up to the answer to its code. */
    async addPhone(number: string): Promise<Answer> {
      await flow.post('/account/phones/add', { form_token: token, number, country: '' })
      const code = house.lastCode(number)
      return flow.post('/account/phones/prove', { form_token: token, code })
    },

    /** The headings and messages of a page, without its markup. */
    async text(path: string): Promise<string> {
      const { html } = await flow.request(path)
      return html.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ')
    },
  }
}
