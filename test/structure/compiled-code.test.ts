import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'

const ROOT = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const manifest = z.object({ scripts: z.object({ start: z.string(), cli: z.string() }) })
const { scripts } = manifest.parse(JSON.parse(read('package.json')))

/** What commands load before the program. */
const KEEPS_COMPILED = 'src/compiled-code.js'

/** What the program is started from, with the packages but nothing that is kept of them. */
function copyOfProgram(): string {
  const tree = mkdtempSync(join(tmpdir(), 'sallyport-compiled-'))
  for (const part of ['src', 'languages', 'package.json'])
    cpSync(join(ROOT, part), join(tree, part), { recursive: true })
  mkdirSync(join(tree, 'node_modules'))
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((name) => name !== '.cache'))
    symlinkSync(join(ROOT, 'node_modules', name), join(tree, 'node_modules', name))
  return tree
}

test('code that is compiled ahead is all that a start and the first request load, and nothing has to strip types', async () => {
  const tree = copyOfProgram()
  onTestFinished(() => rmSync(tree, { recursive: true }))
  const cache = join(tree, 'node_modules/.cache/compiled')
  const kept = () => readdirSync(cache, { recursive: true }).length
  // Writes down which parts of Node itself a process has loaded.
  const [lister, listed] = [join(tree, 'lister.cjs'), join(tree, 'listed')]
  const list = `require('node:fs').writeFileSync('${listed}' + process.pid, process.moduleLoadList.join())`
  writeFileSync(lister, `process.on('exit', () => ${list})`)

  async function run(command: string) {
    const [, ...args] = command.split(' ')
    const child = spawn(process.execPath, ['-r', lister, ...args], {
      cwd: tree,
      env: { NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    await once(child, 'close')
    const strips = readFileSync(`${listed}${child.pid}`, 'utf8').includes('amaro')
    return { status: child.exitCode, strips, said }
  }

  expect(await run('node src/compile-ahead.ts')).toEqual({ status: 0, strips: true, said: '' })
  const made = kept()
  expect(made).toBeGreaterThan(1000)
  writeFileSync(
    join(tree, 'request.js'),
    `import { requestJson } from './src/messaging/http.ts'
    const request = { method: 'GET', url: 'http://127.0.0.1:2' }
    process.stdout.write((await requestJson(request, AbortSignal.timeout(5000))).detail)`,
  )
  const all = await Promise.all([
    // Without a configuration or command they end, with everything loaded.
    run(scripts.start),
    run(scripts.cli),
    run(`node --import ./${KEEPS_COMPILED} request.js`),
  ])
  expect(all).toEqual([
    { status: 1, strips: false, said: '' },
    { status: 2, strips: false, said: '' },
    { status: 0, strips: false, said: 'ECONNREFUSED' },
  ])
  // With what makes the request here.
  expect(kept()).toBe(made + 1)
})

test('every command switches on what keeps compiled code before it loads the program', () => {
  expect(scripts.start).toBe(`node --import ./${KEEPS_COMPILED} src/main.ts`)
  expect(scripts.cli).toBe(`node --import ./${KEEPS_COMPILED} src/cli/main.ts`)
  expect(read('deploy/sallyport')).toContain(
    `exec node --import /app/${KEEPS_COMPILED} /app/src/cli/main.ts `,
  )
})
