import type Router from '@koa/router'
import { API_URL, addOperations } from './dispatch.ts'
import { openApiDocument } from './openapi.ts'
import { type Operations, operations } from './operations.ts'

type Dispatch = Parameters<typeof addOperations>[1]
type Dependencies = Operations & Pick<Dispatch, 'idempotency'>

/** Everything under `/api/admin/v1`. */
export function createApiSection(deps: Dependencies) {
  const routes = operations(deps)
  let document: string | undefined

  return (authenticate: Dispatch['authenticate']) => (router: Router) => {
    // For everybody: it says what can be asked for, and nothing of what there is.
    router.get(`${API_URL}/openapi.json`, (ctx) => {
      ctx.set('Cache-Control', 'public, max-age=300')
      ctx.type = 'application/json'
      // Made for the first who asks: few do, and a start would take longer by it.
      document ??= JSON.stringify(openApiDocument(routes))
      ctx.body = document
    })
    addOperations(router, { ...deps, ...deps.people, routes, authenticate })
  }
}
