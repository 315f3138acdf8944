import { createFlow } from './flow.ts'
import { type House, PHONES } from './house.ts'

const API = '/api/admin/v1'

/** One answer of the API. */
export interface ApiAnswer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  json: any
}

export type Api = Awaited<ReturnType<typeof openApi>>

/** The API as a program with a client of its own uses it. */
export async function openApi(house: House, scope: 'admin:read' | 'admin:write' = 'admin:write') {
  const id = `program-${scope.slice(6)}`
  if (!(await house.rooms.clients.show(id))) {
    const { secret = '' } = await house.rooms.clients.create({
      id,
      grants: ['client_credentials'],
      scope: [scope],
    })
    secrets.set(`${house.issuer} ${id}`, secret)
  }
  const secret = secrets.get(`${house.issuer} ${id}`) ?? ''
  const response = await fetch(`${house.url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope }),
  })
  const { access_token: token } = (await response.json()) as { access_token: string }
  return apiWith(house, token)
}

const secrets = new Map<string, string>()

/** A first-party app that gets admin tokens for people. */
export async function addDesk(house: House) {
  return house.addClient('desk', { scope: ['openid', 'admin:read', 'admin:write'] })
}

/** Signs somebody in to an app, as a person does, and gives what it got for them. */
export async function tokensOf(
  house: House,
  client: { id: string; secret: string },
  username: string,
  { phone = PHONES[0], scope = 'openid admin:write' }: { phone?: string; scope?: string } = {},
) {
  const flow = createFlow(house, { client })
  const back = await flow.complete(username, phone, { scope })
  const { body } = await flow.redeem(back.get('code') ?? '')
  return { flow, access: String(body.access_token), id: String(body.id_token) }
}

/** The API with a token, whoever's it is; without one where it is empty. */
export function apiWith(house: House, token: string) {
  async function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<ApiAnswer> {
    const response = await fetch(house.url + API + path, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      json: text === '' ? undefined : isJson(response.headers) ? JSON.parse(text) : text,
    }
  }
  return {
    token,
    call,
    get: (path: string, headers?: Record<string, string>) => call('GET', path, undefined, headers),
    post: (path: string, body: unknown = {}, headers?: Record<string, string>) =>
      call('POST', path, body, headers),
    put: (path: string, body: unknown) => call('PUT', path, body),
    patch: (path: string, body: unknown, headers?: Record<string, string>) =>
      call('PATCH', path, body, headers),
    delete: (path: string) => call('DELETE', path),
  }
}

/** Does something to an account. @returns what it was answered, and what the trail has of it: what, who and why */
export async function traceOf(house: House, accountId: string, act: () => Promise<ApiAnswer>) {
  const { last } = await house.db
    .selectFrom('audit_event')
    .select(({ fn }) => fn.max('id').as('last'))
    .executeTakeFirstOrThrow()
  const { status, json } = await act()
  const events = await house.db
    .selectFrom('audit_event')
    .select(['type', 'actor', 'detail'])
    .where('account_id', '=', accountId)
    .where('id', '>', last)
    .orderBy('id')
    .execute()
  const told = events.map(({ type, actor, detail }) => [type, actor, detail.reason ?? null])
  return { status, json, events: told }
}

function isJson(headers: Headers): boolean {
  return /^application\/(problem\+)?json(;|$)/.test(headers.get('content-type') ?? '')
}
