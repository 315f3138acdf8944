import type Router from '@koa/router'
import { once } from '../../once.ts'
import { API_URL, addOperations } from './dispatch.ts'
import { openApiDocument } from './openapi.ts'
import { type Operations, operations } from './operations.ts'

type Dispatch = Parameters<typeof addOperations>[1]
type Dependencies = Operations & Pick<Dispatch, 'idempotency'>

/** Everything under `/api/admin/v1`. */
export function createApiSection(deps: Dependencies) {
  const routes = operations(deps)
  // Few ask for it, and a start would take longer by it.
  const document = once(() => JSON.stringify(openApiDocument(routes)))

  return (authenticate: Dispatch['authenticate']) => (router: Router) => {
    // For everybody: it says what can be asked for, and nothing of what there is.
    router.get(`${API_URL}/openapi.json`, (ctx) => {
      ctx.set('Cache-Control', 'public, max-age=300')
      ctx.type = 'application/json'
      ctx.body = document()
    })
    addOperations(router, { ...deps, ...deps.people, routes, authenticate })
  }
}
