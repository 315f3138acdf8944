import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ROLES, type Role } from '../../src/accounts/account.ts'
import { signIn } from '../support/account.ts'
import { addAdmin, addressOf, signInToConsole } from '../support/console.ts'
import { consoleRoutes, FORMS, OPEN, PAGES, ROUTES, type Route } from '../support/console-routes.ts'
import { type Answer, createFlow, type Flow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

/** What may not change, whatever is asked. */
const KEPT = [
  'account',
  'phone',
  'second_factor',
  'authenticator',
  'backup_code',
  'bypass_code',
  'trusted_device',
  'one_time_link',
  'challenge',
  'client',
  'signing_key',
  'webhook',
  'alert_delivery',
  'import_job',
  'import_chunk',
  'send_traffic',
] as const

interface Person {
  flow: Flow
  /** of the forms of their visit */
  token: string
}
type Ids = Record<string, string>

let house: House
let paul: Ids
let ada: Ids
let ordinary: Flow
let staff: Record<Role | 'none', Person>
let before: object

async function contents(): Promise<object> {
  const rows = KEPT.map(async (table) => {
    const found = await sql`select * from ${sql.table(table)} t order by t::text`.execute(house.db)
    return [table, found.rows]
  })
  const sessions = await house.rooms.sessions.list(paul.id ?? '')
  return {
    ...Object.fromEntries(await Promise.all(rows)),
    sessions: sessions.map(({ uid }) => uid),
    texts: house.codeTexts().length,
  }
}

/**
 * At the console with a form's token in hand, and then with another role, written beside the product, which would
 * have ended the session (test/web/console-ascent.test.ts): more than an attacker could have.
 */
async function enter(name: string, phone: string, role: Role | null): Promise<Person> {
  const { id } = await addAdmin(house, name, 'admin', phone)
  const { flow } = await signInToConsole(house, name, { phone })
  const { html } = await flow.request('/admin/people/new')
  const token = /name="form_token" value="([^"]+)"/.exec(html)?.[1] ?? ''
  await house.db.updateTable('account').set({ role }).where('id', '=', id).execute()
  return { flow, token }
}

beforeAll(async () => {
  house = await startHouse({
    env: { WEBHOOK_ALLOWED_HOSTS: '127.0.0.1', TRUSTED_DEVICE_DAYS: '30' },
  })
  const { rooms } = house
  await house.addClient('app')
  const { id: webhook } = await rooms.webhooks.create({ url: 'https://127.0.0.1/hook' })
  const job = await rooms.imports.begin({ format: 'csv', dryRun: true, update: false })
  // It is over, so that a file that is refused has nothing to cancel.
  await rooms.imports.cancel(job)

  staff = {
    admin: await enter('ada', PHONES[0], 'admin'),
    helpdesk: await enter('helen', PHONES[1], 'helpdesk'),
    auditor: await enter('otto', PHONES[2], 'auditor'),
    none: await enter('nora', '+46701234571', null),
  }
  const { id } = await house.addAccount('paul', PHONES[3])
  ordinary = createFlow(house)
  await signIn(house, ordinary, await ordinary.request('/account'), 'paul', { phone: PHONES[3] })

  const idsOf = async (accountId: string): Promise<Ids> => {
    await rooms.trustedDevices.trust(accountId, 'Firefox')
    const { id: code } = await rooms.bypassCodes.issue(accountId)
    const [phone] = await rooms.phones.list(accountId)
    const [browser] = await rooms.trustedDevices.list(accountId)
    const [session] = await rooms.sessions.list(accountId)
    if (!phone || !browser || !session) throw new Error('something is missing')
    return {
      ...{ id: accountId, code, job, country: 'SE' },
      ...{ phone: phone.id, browser: browser.id, session: session.uid },
      ...{ app: 'app', webhook },
    }
  }
  paul = await idsOf(id)
  ada = await idsOf((await rooms.accounts.findByUsername('ada'))?.id ?? '')
  before = await contents()
})
afterEach(async () => {
  expect(await contents(), 'something was changed').toEqual(before)
})
afterAll(() => house.stop())

/**
 * Sends a form that nobody's browser would send: with a field that no form has, so that whoever may do it is told
 * 400, and nothing happens.
 */
function send(
  flow: Flow,
  route: Route,
  token: string | null,
  headers: Record<string, string> = {},
) {
  const fields = { ...(token !== null && { form_token: token }), more: 'x' }
  const address = addressOf(route, paul)
  if (!route.path.endsWith('/file')) return flow.post(address, fields, headers)
  const body = new FormData()
  for (const [name, value] of Object.entries(fields)) body.set(name, value)
  // Its token is in the address: before it is known to be right, nothing of the file is read.
  return flow.request(`${address}?form_token=${token ?? ''}`, {
    method: 'POST',
    body,
    headers: { origin: house.issuer, ...headers },
  })
}

/** Asks each in turn. @returns those that were answered otherwise than they should have been */
async function wrongAnswers(
  routes: readonly Route[],
  expected: number | ((route: Route) => number),
  ask: (route: Route) => Promise<Answer>,
): Promise<string[]> {
  const wrong: string[] = []
  for (const route of routes) {
    const { status } = await ask(route)
    const right = typeof expected === 'number' ? expected : expected(route)
    if (status !== right) wrong.push(`${route.method} ${route.path}: ${status}, not ${right}`)
  }
  return wrong
}

describe('every page and form of the console [ADM-01, ADM-12]', () => {
  test('is known here, with the permission it takes', () => {
    const known = [...OPEN, ...ROUTES.map(({ method, path }) => `${method} ${path}`)]
    expect(consoleRoutes().toSorted()).toEqual(known.toSorted())
  })

  test('is closed to whoever isn’t signed in', async () => {
    const flow = createFlow(house)
    const { token } = staff.admin
    const toSignIn = async (route: Route) => {
      const answer = await flow.request(addressOf(route, paul))
      expect(answer.location).toContain('/auth?client_id=')
      return answer
    }
    expect(await wrongAnswers(PAGES, 303, toSignIn)).toEqual([])
    expect(await wrongAnswers(FORMS, 403, (route) => send(flow, route, token))).toEqual([])
  })

  test('is closed to whoever has no role, or no longer', async () => {
    const { flow: former, token } = staff.none
    for (const flow of [ordinary, former]) {
      const look = (route: Route) => flow.request(addressOf(route, paul))
      expect(await wrongAnswers(PAGES, 403, look)).toEqual([])
      expect(await wrongAnswers(FORMS, 403, (route) => send(flow, route, token))).toEqual([])
    }
  })

  for (const role of ROLES) {
    test(`is open to the role ${role} exactly where the permissions say so`, async () => {
      const { flow, token } = staff[role]
      const may = ({ roles }: Route) => roles.includes(role)
      const look = (route: Route) => flow.request(addressOf(route, paul))
      expect(await wrongAnswers(PAGES, (route) => (may(route) ? 200 : 403), look)).toEqual([])
      const answerTo = (route: Route) =>
        !may(route) ? 403 : route.path.endsWith('/file') ? 409 : 400
      expect(await wrongAnswers(FORMS, answerTo, (route) => send(flow, route, token))).toEqual([])
    })

    test(`takes from the role ${role} no form without its token, nor one from elsewhere`, async () => {
      const { flow, token } = staff[role]
      const foreign = staff[role === 'admin' ? 'helpdesk' : 'admin'].token
      for (const other of [null, foreign])
        expect(await wrongAnswers(FORMS, 403, (route) => send(flow, route, other))).toEqual([])
      const elsewhere = { origin: 'https://evil.example' }
      const crossSite = (route: Route) => send(flow, route, token, elsewhere)
      expect(await wrongAnswers(FORMS, 403, crossSite)).toEqual([])
    })
  }

  test('does nothing of the help desk’s to an admin, whose role is higher', async () => {
    const { flow, token } = staff.helpdesk
    const help = FORMS.filter(({ roles }) => roles.includes('helpdesk'))
    expect(help).toHaveLength(10)
    const tryIt = (route: Route) => {
      const asked = !/:session|:browser/.test(route.path)
      const fields = { form_token: token, ...(asked && { reason: 'they asked for it' }) }
      return flow.post(addressOf(route, ada), fields)
    }
    expect(await wrongAnswers(help, 403, tryIt)).toEqual([])
  })
})
