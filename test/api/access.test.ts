import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Role } from '../../src/accounts/account.ts'
import { signIn } from '../support/account.ts'
import { addDesk, apiWith, openApi, tokensOf } from '../support/api.ts'
import { type Contract, type Operation, readContract } from '../support/conformity.ts'
import { addAdmin } from '../support/console.ts'
import { createFlow } from '../support/flow.ts'
import { type House, PHONES, startHouse } from '../support/house.ts'

const [A, B, C, D] = PHONES

/** What a caller should be told: that they are let through, or why not. */
type Verdict = 'in' | `${number} ${string}`

interface Caller {
  headers: Record<string, string>
  verdict: Verdict | ((operation: Operation) => Verdict)
}

let house: House
let contract: Contract
const callers = new Map<string, Caller>()

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const add = (name: string, token: string, verdict: Caller['verdict']) =>
  callers.set(name, { headers: bearer(token), verdict })

/** Whoever acts in a role, with a token for everything or only for reading. */
const inRole =
  (role: Role, scope: 'read' | 'write' = 'write') =>
  ({ permission, roles }: Operation): Verdict => {
    if (permission === 'write' && scope === 'read') return '403 insufficient_scope'
    return roles.includes(role) ? 'in' : '403 forbidden'
  }

beforeAll(async () => {
  house = await startHouse({ env: { SECOND_FACTOR: 'optional' } })
  contract = await readContract(house)
  const { accounts, clients, bypassCodes } = house.rooms
  const desk = await addDesk(house)
  const plain = await house.addClient('plain')
  const doomed = await house.addClient('doomed', { scope: ['openid', 'admin:write'] })
  const admin = await addAdmin(house, 'ada', 'admin', A)
  await addAdmin(house, 'helen', 'helpdesk', B)
  await addAdmin(house, 'otto', 'auditor', C)
  await house.addAccount('paul', D)

  const late = await tokensOf(house, desk, 'ada')
  const expired = late.access
  house.moveClock(25 * 60)
  const code = (
    await late.flow.resume(
      await late.flow.request(late.flow.authorizationUrl({ scope: 'openid admin:write' })),
    )
  ).get('code')
  const { body: renewed } = await late.flow.redeem(code ?? '')
  add(
    'an admin whose second factor is old',
    String(renewed.access_token),
    '401 insufficient_user_authentication',
  )
  add('an expired token', expired, '401 invalid_token')

  const fresh = await tokensOf(house, desk, 'ada')
  add('an admin', fresh.access, inRole('admin'))
  add('an ID token', fresh.id, '401 invalid_token')
  const readOnly = await tokensOf(house, desk, 'ada', { scope: 'openid admin:read' })
  add('an admin with a token for reading', readOnly.access, inRole('auditor', 'read'))
  add(
    'the help desk',
    (await tokensOf(house, desk, 'helen', { phone: B })).access,
    inRole('helpdesk'),
  )
  add('an auditor', (await tokensOf(house, desk, 'otto', { phone: C })).access, inRole('auditor'))
  add('a user', (await tokensOf(house, desk, 'paul', { phone: D })).access, '403 forbidden')
  add(
    'a user of another app',
    (await tokensOf(house, plain, 'paul', { phone: D, scope: 'openid' })).access,
    '403 insufficient_scope',
  )
  add(
    'an admin of another app',
    (await tokensOf(house, plain, 'ada', { scope: 'openid' })).access,
    '403 insufficient_scope',
  )
  add('a program that reads', (await openApi(house, 'admin:read')).token, inRole('auditor', 'read'))
  add('a program that writes', (await openApi(house, 'admin:write')).token, (operation) =>
    // A second admin's consent is a person's.
    operation.id === 'approveBypassCode' ? '403 own_approval' : inRole('admin')(operation),
  )
  add('garbage', 'AAAA.BBBB.CCCC', '401 invalid_token')
  callers.set('nobody', { headers: {}, verdict: '401 bearer_required' })
  callers.set('a password', {
    headers: { authorization: `Basic ${btoa('ada:x')}` },
    verdict: '401 bearer_required',
  })

  const browser = createFlow(house)
  await signIn(house, browser, await browser.request('/admin'), 'ada', { phone: A })
  callers.set('an admin’s cookies, and a header that says who (input 100)', {
    headers: {
      cookie: await browser.jar.getCookieString(`${house.issuer}/admin`),
      'x-user-id': admin.id,
    },
    verdict: '403 bearer_required',
  })

  // By the password alone: somebody who has nothing else yet.
  const bare = await house.addAccount('bare', null)
  await accounts.setRole(bare.id, 'admin', { keepAdmin: false })
  add(
    'an admin by the password alone',
    await byPassword('bare'),
    '401 insufficient_user_authentication',
  )
  const bypassed = await addAdmin(house, 'bypassed', 'admin', '+46701500001')
  const { code: spare } = await bypassCodes.issue(bypassed.id)
  const bypassing = createFlow(house, { client: desk })
  await bypassing.toCode('bypassed', { scope: 'openid admin:write' })
  const passed = await bypassing.resume(await bypassing.step('backup-code', { code: spare }))
  const { body: byBypass } = await bypassing.redeem(passed.get('code') ?? '')
  add(
    'an admin by a code of the help desk',
    String(byBypass.access_token),
    '401 insufficient_user_authentication',
  )

  for (const name of ['disabled', 'demoted', 'erased']) {
    const phone = `+4670150010${name.length}`
    const { id } = await addAdmin(house, name, 'admin', phone)
    const { access } = await tokensOf(house, desk, name, { phone })
    if (name === 'disabled') await accounts.disable(id)
    if (name === 'demoted') await accounts.setRole(id, null, { keepAdmin: false })
    if (name === 'erased') await accounts.remove(id)
    add(`a ${name} admin`, access, '401 invalid_token')
  }
  add('an app that is gone', (await tokensOf(house, doomed, 'ada')).access, '401 invalid_token')
  await clients.remove('doomed')

  async function byPassword(username: string): Promise<string> {
    const flow = createFlow(house, { client: desk })
    await flow.begin({ scope: 'openid admin:write' })
    const back = await flow.resume(await flow.password(username))
    return String((await flow.redeem(back.get('code') ?? '')).body.access_token)
  }
}, 60_000)
afterAll(() => house.stop())

test('every operation lets in whom its document says, and nobody else (ADM-01)', async () => {
  const wrong: string[] = []
  for (const [name, { headers, verdict }] of callers)
    await Promise.all(
      contract.operations.map(async (operation) => {
        const path = operation.path.replace(/\{\w+\}/g, 'none')
        const body = operation.body ? {} : undefined
        const answer = await apiWith(house, '').call(operation.method, path, body, headers)
        const told = `${answer.status} ${answer.json?.code}`
        const expected = typeof verdict === 'string' ? verdict : verdict(operation)
        const isIn = answer.status !== 401 && answer.status !== 403
        if (expected === 'in' ? !isIn : told !== expected)
          wrong.push(`${operation.id}: ${name}: ${told}, not ${expected}`)
      }),
    )
  expect(wrong).toEqual([])
  expect(callers.size).toBeGreaterThan(20)
  // Each was refused something and the right ones let in to something, or this said nothing.
  expect(contract.operations.map(inRole('helpdesk'))).toContain('in')
})

// Written out, since the roles above are those that the product says of itself.
describe('by the document', () => {
  const idsWhere = (which: (operation: Operation) => boolean) =>
    contract.operations.filter(which).map(({ id }) => id)
  const isChange = ({ method }: Operation) => method !== 'GET'
  const isFor = (role: Role) => (operation: Operation) => operation.roles.includes(role)

  test('an auditor changes nothing, and the help desk only helps people in again', () => {
    expect(idsWhere((each) => isChange(each) && isFor('auditor')(each))).toEqual([])
    expect(idsWhere((each) => isChange(each) && isFor('helpdesk')(each))).toEqual([
      'unlockAccount',
      'inviteAccount',
      'resetFactors',
      'endSessions',
      'endSession',
      'forgetTrustedBrowsers',
      'forgetTrustedBrowser',
      'issueBypassCode',
      'endBypassCode',
      'resendCode',
    ])
    expect(idsWhere((each) => !isFor('admin')(each))).toEqual([])
    expect(idsWhere((each) => isChange(each) !== (each.permission === 'write'))).toEqual([])
  })

  test('only an admin takes people out or in, and settings aren’t the help desk’s', () => {
    expect(idsWhere((each) => !isChange(each) && !isFor('auditor')(each))).toEqual([
      'listImports',
      'getImport',
      'listImportFailures',
      'exportAccounts',
      'exportAccount',
    ])
    expect(idsWhere((each) => isFor('auditor')(each) && !isFor('helpdesk')(each))).toEqual([
      'listSigningKeys',
      'listWebhooks',
      'getWebhook',
      'listDeliveries',
    ])
  })
})

test('what isn’t fresh enough is told by RFC 9470', async () => {
  const { headers } = callers.get('an admin whose second factor is old') ?? { headers: {} }
  const answer = await apiWith(house, '').get('/accounts', headers)
  expect(answer.headers.get('www-authenticate')).toBe(
    'Bearer error="insufficient_user_authentication", acr_values="https://refeds.org/profile/mfa", max_age="1200"',
  )
})
