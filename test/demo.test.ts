import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createScriptedBrowser } from '../examples/scripted-browser.ts'
import { COMPILED } from './support/children.ts'
import { freePort } from './support/ports.ts'

const ROOT = join(import.meta.dirname, '..')
const dataDir = mkdtempSync(join(tmpdir(), 'sallyport-demo-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

async function startDemo(args: string[], env: Record<string, string> = {}) {
  return spawn(process.execPath, ['examples/demo/main.ts', ...args], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: COMPILED,
      PORT: String(await freePort()),
      DATA_DIR: dataDir,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function runDemo(env: Record<string, string> = {}) {
  const child = await startDemo(['--once'], env)
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), exit])
  return { output, errors, code }
}

/** What stands between the first brace and the last. */
function claimsIn(output: string): unknown {
  return JSON.parse(output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1))
}

describe('npm run demo -- --once', () => {
  test.for(['first', 'second'])(
    'the %s run over one data directory signs in with two factors',
    { timeout: 90_000 },
    async () => {
      const { output, errors, code } = await runDemo()
      expect(errors).toBe('')
      expect(code).toBe(0)
      for (const hop of [
        /app +GET +\/sign-in +303/,
        /provider +GET +\/auth +303/,
        /provider +POST +\/interaction\/…\/login +303/,
        /│ @localhost #\d{6}\n/,
        /provider +POST +\/interaction\/…\/code +303/,
        /app +GET +\/callback +303/,
      ]) {
        expect(output).toMatch(hop)
      }
      expect(output).toContain('RS256 signature, iss, aud, nonce, exp')
      expect(output).not.toContain('\u001b')
      expect(claimsIn(output)).toMatchObject({
        acr: 'https://refeds.org/profile/mfa',
        amr: ['pwd', 'otp', 'sms', 'mfa'],
      })
    },
  )

  test('a taken port is said and replaced', { timeout: 90_000 }, async () => {
    const holder = createServer()
    const port = await new Promise<number>((resolve) => {
      holder.listen(0, '127.0.0.1', () => {
        const address = holder.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    })
    const { output, code } = await runDemo({ PORT: String(port) })
    holder.close()
    expect(output).toContain(`Port ${port} is taken; using `)
    expect(code).toBe(0)
  })

  test('a bad setting stops it with a message and exit code 1', { timeout: 90_000 }, async () => {
    const { errors, code } = await runDemo({ BRAND_COLOR: 'blue' })
    expect(errors).toContain('BRAND_COLOR must be a colour')
    expect(code).toBe(1)
  })
})

/** Reads until the demo has said all it has to say. */
async function readTour(child: Awaited<ReturnType<typeof startDemo>>): Promise<string> {
  let output = ''
  for await (const line of createInterface({ input: child.stdout })) {
    output += `${line}\n`
    if (line.includes('Ctrl+C stops it')) return output
  }
  throw new Error(`The demo ended before its tour did: ${output}${await text(child.stderr)}`)
}

/** Of the last day's figures, what is looked at here. */
const overview = z.object({
  totals: z.object({ passed: z.number(), conversion: z.number() }),
  cost: z.object({ total: z.number() }),
})

/** The newest code on the simulated phone for a number. */
async function codeFor(at: string, phone: string): Promise<string> {
  const response = await fetch(new URL('/dev/outbox.json', at))
  const messages = (await response.json()) as Array<{ to: string; text: string }>
  return /#(\d+)$/.exec(messages.findLast(({ to }) => to === phone)?.text ?? '')?.[1] ?? ''
}

/** What the lines that the demo gives for a shell answer. */
async function askApi(output: string): Promise<unknown> {
  const lines = output.slice(output.indexOf('TOKEN='))
  const shell = spawn('sh', ['-c', lines.slice(0, lines.indexOf('\n\n'))])
  return JSON.parse(await text(shell.stdout))
}

test('npm run demo tells where to click, and it is so', { timeout: 90_000 }, async () => {
  const child = await startDemo([])
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
  try {
    const output = await readTour(child)
    const [, app = ''] = /App +(\S+)/.exec(output) ?? []
    const [, password = ''] = /Password +(\S+) for alex and for robin/.exec(output) ?? []
    const [, backupCode = ''] = /((?:[B-Z]{4}-){3}[B-Z]{4})/.exec(output) ?? []
    const wide = output.split('\n').filter((line) => line.length > 80)
    expect(wide).toEqual([])

    const browser = createScriptedBrowser()
    const signIn = async (username: string) => {
      const login = await (await browser.open(app)).form({ button: 'Sign in' }).submit()
      return login.form({ has: 'password' }).submit({ username, password })
    }
    expect((await signIn('robin')).text).toContain('Add your phone')

    // A browser that is remembered, and an API that asks for more.
    await (await signIn('alex')).form({ button: 'Use a backup code' }).submit()
    await browser.page.form({ has: 'code' }).submit({ code: backupCode, remember: 'yes' })
    expect(browser.page.text).toContain('pwd, otp, mfa')
    await browser.page.form({ button: 'Sign out' }).submit()
    await browser.page.form({ button: 'Sign out' }).submit()
    expect((await signIn('alex')).text).toContain('one factor')
    await browser.page.form({ button: 'Read my balance' }).submit()
    expect(browser.page.text).toContain('"done":"balance"')
    await browser.page.form({ button: 'Move money' }).submit()
    expect(browser.page.text).toContain('You are signed in as alex')
    await browser.page.form({ button: 'Continue' }).submit()
    const phone = await fetch(`${new URL(browser.page.url).origin}/dev/outbox.json`)
    const code = /#(\d+)"[^#]*$/.exec(await phone.text())?.[1] ?? ''
    await browser.page.form({ has: 'code' }).submit({ code })
    expect(browser.page.text).toContain('insufficient_user_authentication')
    expect(browser.page.text).toContain('"done":"transfers"')

    // The admin's side: a console to sign in to, and an API for programs.
    const [, console = ''] = /Console +(http\S+)/.exec(output) ?? []
    const admin = createScriptedBrowser()
    await admin.open(console)
    await admin.page.form({ has: 'password' }).submit({ username: 'kim', password })
    await admin.page.form({ has: 'code' }).submit({ code: await codeFor(console, '+46701740608') })
    expect(admin.page.status).toBe(200)
    expect(new URL(admin.page.url).pathname).toMatch(/^\/admin/)
    expect(admin.page.text).toContain('kim')
    const { totals, cost } = overview.parse(await askApi(output))
    expect(totals.passed).toBeGreaterThan(20)
    expect(totals.conversion).toBeGreaterThan(0.5)
    expect(cost.total).toBeGreaterThan(0)
    expect(output).toMatch(/Made up \d{4} messages of the last 30 days/)
  } finally {
    child.kill('SIGINT')
  }
  expect(await exit).toBe(0)
})
