import { execFile } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'

/** Where it really is: a linked one may be linked from elsewhere tomorrow, and the path is kept in a file. */
const MODULES = realpathSync(join(import.meta.dirname, '../../node_modules'))

/** Runs with TMPDIR pointing at a fresh directory, because the package unpacks there and nowhere else. */
const UNPACK = `import chromium from '@sparticuz/chromium'\nawait chromium.executablePath()`

/** playwright-core adds the usual automation flags itself. */
const ARGS = [
  '--no-sandbox',
  '--no-zygote',
  '--disable-dev-shm-usage',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-domain-reliability',
  '--disable-sync',
  '--no-first-run',
  '--no-pings',
  '--font-render-hinting=none',
]

/**
 * A real Chromium from npm alone. The package is made for AWS Lambda; its `--single-process` flags
 * are left out, as they make several contexts in one browser unstable. The caller closes it.
 */
export async function launchChromium(): Promise<Browser> {
  const home = await unpackOnce()
  const env = { ...process.env, FONTCONFIG_PATH: join(home, 'fonts') }
  const launch = (more: Record<string, string>) =>
    chromium.launch({
      executablePath: join(home, 'chromium'),
      headless: true,
      args: ARGS,
      env: { ...env, ...more },
    })

  try {
    return await launch({})
  } catch (error) {
    if (!String(error).includes('shared libraries')) throw error
    // A bare machine has no NSS; the package carries one. It is second choice, since elsewhere
    // these libraries would shadow those the system's own ones were built against.
    return launch({ LD_LIBRARY_PATH: join(home, 'al2023/lib') })
  }
}

/** Test files run in parallel: each unpacks apart, the first to be ready gives its name to all. */
async function unpackOnce(): Promise<string> {
  const home = join(MODULES, '.cache', `chromium-${await packagedVersion()}`)
  if (existsSync(home)) return home

  await mkdir(join(MODULES, '.cache'), { recursive: true })
  const fresh = await mkdtemp(`${home}-`)
  try {
    await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', UNPACK], {
      cwd: MODULES,
      // The last variable is how the package decides to unpack the shared libraries as well.
      env: { ...process.env, TMPDIR: fresh, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' },
    })
    await writeFile(join(fresh, 'fonts/fonts.conf'), fontConfiguration(home))
    await rename(fresh, home)
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    if (!existsSync(home)) throw error
  }
  return home
}

/** The package's own file looks in Lambda's places only, and without any font Chromium aborts. */
function fontConfiguration(home: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${home}/fonts</dir><cachedir>${home}/fonts-cache</cachedir></fontconfig>
`
}

async function packagedVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(
    await readFile(join(MODULES, '@sparticuz/chromium/package.json'), 'utf8'),
  )
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    return String(manifest.version)
  }
  throw new Error('@sparticuz/chromium names no version')
}
