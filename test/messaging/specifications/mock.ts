import { createServer, type IncomingMessage } from 'node:http'
import { resolve } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { createInstance, getHttpOperationsFromSpec } from '@stoplight/prism-http'
import { pino } from 'pino'
import { listen } from '../../support/fake-textbee.ts'

export interface Mount {
  /** beside this one */
  file: string
  /** what the gateway's addresses start with, where the specification's paths start behind it */
  below?: string
}

export interface Judged {
  mount: string
  method: string
  /** as the gateway would see it */
  path: string
  headers: Record<string, string>
  body: string
  status: number
  /** every way in which it broke the specification, in Prism's words */
  violations: string[]
}

const METHODS = ['get', 'post', 'delete'] as const

const prism = createInstance(
  {
    isProxy: false,
    checkSecurity: false,
    validateRequest: true,
    validateResponse: false,
    errors: true,
    upstreamProxy: undefined,
    mock: { dynamic: false },
  },
  // Typed for an older pino, and with a level of Prism's own.
  { logger: pino({ level: 'silent', customLevels: { success: 32 } }) as never },
)

/**
 * Serves specifications with Prism, each below a name of its own: answers are the specification's examples, and
 * a request that it doesn't allow is refused.
 */
export async function startSpecifications(mounts: Readonly<Record<string, readonly Mount[]>>) {
  const loaded = new Map(
    await Promise.all(
      Object.entries(mounts).map(async ([name, files]) => {
        const read = files.map(async ({ file, below = '' }) => ({
          below,
          operations: await operationsOf(resolve(import.meta.dirname, file)),
        }))
        return [name, await Promise.all(read)] as const
      }),
    ),
  )
  const judged: Judged[] = []

  async function judge(incoming: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const url = new URL(incoming.url ?? '/', 'http://localhost')
    const [, mount = '', path = ''] = /^\/([^/]+)(.*)$/.exec(url.pathname) ?? []
    const specification = loaded.get(mount)?.find(({ below }) => path.startsWith(below))
    const method = METHODS.find((known) => known === incoming.method?.toLowerCase())
    const body = await readText(incoming)
    if (!specification || !method) throw new Error(`no specification for ${incoming.url}`)
    const headers = Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
    )
    const request = {
      method,
      url: {
        path: path.slice(specification.below.length) || '/',
        query: Object.fromEntries(url.searchParams),
      },
      headers,
      body: headers['content-type']?.startsWith('application/json')
        ? jsonOf(body)
        : body || undefined,
    }
    const result = await prism.request(request, specification.operations)()
    const { status, violations, answer } =
      result._tag === 'Right'
        ? {
            status: result.right.output.statusCode,
            answer: result.right.output.body,
            violations: result.right.validations.input.map(({ message }) => message),
          }
        : problemOf(result.left)
    judged.push({ mount, method, path, headers, body, status, violations })
    return { status, body: answer }
  }

  const server = createServer((request, response) => {
    judge(request).then(
      ({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(JSON.stringify(body))
      },
      () => response.destroy(),
    )
  })
  const port = await listen(server)

  return {
    judged,
    urlOf: (mount: string) => `http://127.0.0.1:${port}/${mount}`,
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

/** Without their callbacks: Prism would really send those, to whatever address a request names. */
async function operationsOf(file: string) {
  const operations = await getHttpOperationsFromSpec(file)
  return operations.map((operation) => ({ ...operation, callbacks: undefined }))
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}

/** Prism's own refusal, where the specification has no answer for it. */
function problemOf(error: Error & { status?: number; additional?: unknown }) {
  const { status = 500, additional = {}, message } = error
  return { status, answer: {}, violations: [`${message} ${JSON.stringify(additional)}`] }
}
