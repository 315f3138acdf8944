import { setTimeout as pause } from 'node:timers/promises'
import { type BrowserContext, chromium } from 'playwright-core'
import { z } from 'zod'
import { follow } from './pages.ts'

/**
 * Does in a real browser what the OpenID Foundation's conformance suite wants done, with the code that was texted to
 * the simulated phone. It watches the suite until it is ended; see docs/conformance.md.
 */

const { SUITE, OP, ACCOUNT, PASSWORD, CHROMIUM } = z
  .object({
    SUITE: z.url().describe('where the suite runs'),
    OP: z.url().describe('the issuer, for its simulated phone'),
    ACCOUNT: z.string().default('conformance'),
    PASSWORD: z.string(),
    CHROMIUM: z.string().describe('path of a Chromium'),
  })
  .parse(process.env)

const running = z.array(z.string())
const status = z.object({
  browser: z.object({
    urlsWithMethod: z.array(z.object({ url: z.string(), method: z.string() })),
  }),
})
const texts = z.array(z.object({ text: z.string() }))

const read = async (url: URL) => (await fetch(url)).json()

async function readCode(): Promise<string> {
  const messages = texts.parse(await read(new URL('/dev/outbox.json', OP)))
  const code = messages.flatMap(({ text }) => /#(\d+)$/m.exec(text)?.[1] ?? []).at(-1)
  if (!code) throw new Error('no code was texted')
  return code
}

const browser = await chromium.launch({ executablePath: CHROMIUM })
/** each module has a browser of its own, and keeps it */
const contexts = new Map<string, BrowserContext>()

async function serve(id: string): Promise<void> {
  const found = status.safeParse(await read(new URL(`/api/runner/${id}`, SUITE)))
  const [visit] = found.data?.browser.urlsWithMethod ?? []
  if (!visit) return
  const visited = new URL(`/api/runner/browser/${id}/visit`, SUITE)
  visited.searchParams.set('url', visit.url)
  await fetch(visited, { method: 'POST' })
  const context = contexts.get(id) ?? (await browser.newContext({ ignoreHTTPSErrors: true }))
  contexts.set(id, context)
  const page = await context.newPage()
  console.log(`${id}: ${visit.method} ${visit.url}`)
  await follow(page, visit, { username: ACCOUNT, password: PASSWORD, readCode }).catch(
    (error: unknown) => console.error(`${id}: ${error}`),
  )
}

for (;;) {
  for (const id of running.parse(await read(new URL('/api/runner/running', SUITE)))) await serve(id)
  await pause(500)
}
