import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, describe, expect, test } from 'vitest'
import { freePort } from './support/ports.ts'

const ROOT = join(import.meta.dirname, '..')
const dataDir = mkdtempSync(join(tmpdir(), 'sallyport-demo-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

async function runDemo(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['examples/demo/main.ts', '--once'], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, PORT: String(await freePort()), DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
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
