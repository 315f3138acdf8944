import type Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import type { Idempotency } from '../../admin/idempotency.ts'
import { type Actor, actorName, assertMay } from '../../admin/permissions.ts'
import { Refusal } from '../../errors.ts'
import { assertPlain } from '../plain.ts'
import { bytesOf, readJson } from './body.ts'
import type { RawRequest, Reply, Route } from './route.ts'
import { send } from './streams.ts'

export const API_URL = '/api/admin/v1'

interface Dependencies {
  routes: readonly Route[]
  /** @throws Refusal */
  authenticate: (ctx: Context) => Promise<Actor>
  idempotency: Idempotency
  /** @throws Refusal unless the actor may do something to the account */
  assertTouch: (actor: Actor, accountId: string) => Promise<void>
}

const storedReply = z.object({
  status: z.number(),
  body: z.unknown(),
  version: z.number().optional(),
  location: z.string().optional(),
})

/** Answers requests to the API: who asks, what exactly, then the operation. Whatever is thrown becomes a problem. */
export function addOperations(router: Router, deps: Dependencies): void {
  const { routes, authenticate, idempotency } = deps

  /** Does what is asked; what makes something, once for each key that comes with it. */
  async function carryOut(ctx: Context, route: Route, actor: Actor, raw: RawRequest) {
    const key = ctx.get('Idempotency-Key')
    if (!key || route.method !== 'post' || route.status !== 201) return route.run(actor, raw)
    if (!/^[!-~]{1,255}$/.test(key)) {
      throw new Refusal(
        'idempotency_key',
        400,
        'An Idempotency-Key has 1 to 255 visible characters.',
      )
    }
    const who = [actor.kind, actor.id, route.id, ctx.path].join('\0')
    const request = JSON.stringify(raw.body ?? null)
    const work = async () => JSON.stringify(await route.run(actor, raw))
    const assertStill = async () => {
      if (route.path.startsWith('/accounts/:id/')) await deps.assertTouch(actor, ctx.params?.id)
    }
    const answer = await idempotency.once(who, key, request, work, assertStill)
    const { body, ...stored } = storedReply.parse(JSON.parse(answer))
    return { ...stored, body }
  }

  const operate = (route: Route) => async (ctx: Context) => {
    const actor = await authenticate(ctx)
    // For the log's line of this request, which tells of what is done beside the audit trail (ADM-10).
    ctx.state.actor = actorName(actor)
    // Operations judge it too; here, before anything of the request is looked at.
    assertMay(actor, route.permission)
    assertPlain(ctx.query)
    const hasBody = route.method !== 'get' && route.method !== 'delete'
    const raw: RawRequest = {
      params: ctx.params,
      query: ctx.query,
      body: hasBody ? await bodyOf(ctx, route) : undefined,
      ifVersion: route.versioned ? versionOf(ctx.get('If-Match')) : undefined,
    }
    answer(ctx, await carryOut(ctx, route, actor, raw))
  }

  for (const route of routes) router[route.method](API_URL + route.path, operate(route))
  for (const [path, methods] of methodsByPath(routes)) {
    router.all(API_URL + path, (ctx) => {
      ctx.set('Allow', methods.join(', '))
      throw new Refusal('method', 405, `This address takes ${methods.join(' and ')}.`)
    })
  }
}

function bodyOf(ctx: Context, { bytes }: Route): Promise<unknown> {
  return bytes === undefined ? readJson(ctx) : bytesOf(ctx, bytes)
}

function answer(ctx: Context, { status, body, stream, version, location }: Reply): void {
  if (location !== undefined) ctx.set('Location', API_URL + location)
  if (version !== undefined) {
    const tag = `"${version}"`
    ctx.set('ETag', tag)
    if (ctx.method === 'GET' && ctx.get('If-None-Match') === tag) {
      ctx.status = 304
      return
    }
  }
  ctx.status = status
  if (stream) send(ctx, stream)
  else ctx.body = body === undefined ? null : body
}

/** The version that `If-Match` names (RFC 9110 section 13.1.1); one that we never gave is nobody's. */
function versionOf(header: string): number | undefined {
  if (header === '' || header.trim() === '*') return undefined
  const [, version] = /^\s*"(\d{1,9})"\s*$/.exec(header) ?? []
  return version === undefined ? -1 : Number(version)
}

function methodsByPath(routes: readonly Route[]): Map<string, string[]> {
  const paths = new Map<string, string[]>()
  for (const { path, method } of routes)
    paths.set(path, [...(paths.get(path) ?? []), method.toUpperCase()])
  return paths
}
