import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

export type Spa = Awaited<ReturnType<typeof startSpa>>

const here = (name: string) => readFileSync(new URL(name, import.meta.url))
const library = createRequire(import.meta.url).resolve('oidc-client-ts')

/** Serves the page. All that the server does: whoever signs in is known to the page alone. */
export async function startSpa(options: { issuer: string; clientId: string; port: number }) {
  const { issuer, clientId, port } = options
  const page = { type: 'text/html; charset=utf-8', body: here('index.html') }
  const files: Record<string, { type: string; body: Buffer | string }> = {
    '/': page,
    '/callback': page,
    '/app.js': { type: 'text/javascript; charset=utf-8', body: here('app.js') },
    '/styles.css': { type: 'text/css; charset=utf-8', body: here('styles.css') },
    '/oidc-client-ts.js': {
      type: 'text/javascript; charset=utf-8',
      body: readFileSync(library.replace(/umd\/.*$/, 'browser/oidc-client-ts.min.js')),
    },
    '/settings.json': { type: 'application/json', body: JSON.stringify({ issuer, clientId }) },
  }
  // A script from elsewhere could take the tokens, and send them anywhere: neither is let.
  const policy = `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ${issuer}; base-uri 'none'; frame-ancestors 'none'`
  const server = createServer((request, response) => {
    const file = files[new URL(request.url ?? '/', 'http://page').pathname]
    response.writeHead(file ? 200 : 404, {
      'Content-Type': file?.type ?? 'text/plain',
      'Content-Security-Policy': policy,
      'Referrer-Policy': 'no-referrer',
    })
    response.end(file?.body ?? 'Nothing is here.')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${port}`,
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
