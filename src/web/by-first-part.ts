import Router from '@koa/router'

type Routed = ReturnType<Router['routes']>

const firstPartOf = (path: string) => path.split('/', 2)[1] ?? ''

/**
 * The routes of a router, found by the first part of a path: the router itself tries one after the other, and there
 * are so many by now that this took a request longer than all else around it.
 * @throws Error for a route whose first part is a parameter
 */
export function byFirstPart(
  router: Router,
): (...request: Parameters<Routed>) => ReturnType<Routed> {
  const routers = new Map<string, Router>()
  for (const layer of router.stack) {
    const part = firstPartOf(String(layer.path))
    if (part.startsWith(':')) throw new Error(`${layer.path} begins with a parameter`)
    const own = routers.get(part) ?? new Router(router.opts)
    own.stack.push(layer)
    routers.set(part, own)
  }
  const ways = new Map([...routers].map(([part, own]) => [part, own.routes()]))
  return (ctx, next) => ways.get(firstPartOf(ctx.path))?.(ctx, next) ?? next()
}
