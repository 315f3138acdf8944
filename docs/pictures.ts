import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Browser, Page } from 'playwright-core'
import { z } from 'zod'
import { STAFF } from '../examples/demo/sample.ts'
import { createLanguages, loadCatalogues } from '../src/languages/languages.ts'
import { createLanguageChoice } from '../src/web/language.ts'
import { createPages } from '../src/web/pages.ts'
import { launchChromium } from '../test/support/chromium.ts'

/** Makes the pictures of the README, run by hand: `node docs/pictures.ts` */

const ROOT = join(import.meta.dirname, '..')
const IMAGES = join(import.meta.dirname, 'images')
const LARGEST_BYTES = { code: 150_000, console: 400_000 }

const outbox = z.array(z.object({ to: z.string(), text: z.string() }))

const browser = await launchChromium()
try {
  mkdirSync(IMAGES, { recursive: true })
  await takeCodePage(browser)
  await takeConsole(browser)
} finally {
  await browser.close()
}

/** Saves what a tab shows, if it isn't too large for a README. */
async function take(tab: Page, name: string, largest: number): Promise<void> {
  const path = join(IMAGES, name)
  await tab.screenshot({ path, caret: 'hide' })
  const { size } = statSync(path)
  if (size > largest) throw new Error(`${name} is ${size} bytes, too large for a README`)
  console.log(`${name}: ${Math.round(size / 1000)} kB`)
}

/** The page that asks for a code, as a phone shows it. */
async function takeCodePage(browser: Browser): Promise<void> {
  const languages = createLanguages(loadCatalogues(), 'en')
  const pages = createPages({
    languages: createLanguageChoice({ languages, issuer: 'https://login.example.com' }),
    brand: { name: 'Sallyport', color: '#1f6f5c', logo: null },
    simulatedPhone: false,
  })
  const page = pages.render(languages.byDefault, 'code', {
    app: null,
    formToken: '',
    actionUrl: '/',
    resendUrl: '/',
    restartUrl: '/',
    cancelUrl: '/',
    phone: '••• ••• 21',
    length: 6,
    minutesLeft: 5,
    triesLeft: 5,
    error: null,
    delivery: 'accepted',
    channel: 'sms',
    problem: null,
    rerouted: false,
    live: false,
    callUrl: null,
    errorCode: null,
    resendInSeconds: 30,
    sendsLeft: 3,
    host: 'login.example.com',
    phoneUrl: '/',
    otherPhones: [],
    appUrl: null,
    backupUrl: null,
    otherNumberUrl: null,
    rememberDays: 0,
  })
  const server = createServer((request, response) => {
    const asset = pages.assets.get(request.url ?? '')
    response.setHeader('Content-Type', asset?.type ?? 'text/html; charset=utf-8')
    response.end(asset?.body ?? page)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const pictures = { 'code-page.png': 'light', 'code-page-dark.png': 'dark' } as const
  for (const [name, colorScheme] of Object.entries(pictures)) {
    const tab = await browser.newPage({
      viewport: { width: 390, height: 764 },
      deviceScaleFactor: 2,
      colorScheme,
    })
    await tab.goto(`http://127.0.0.1:${address.port}/`)
    await tab.getByRole('textbox').fill('294 731')
    await take(tab, name, LARGEST_BYTES.code)
    await tab.close()
  }
  server.close()
}

/** The console's overview, with the demo's traffic of the last week. */
async function takeConsole(browser: Browser): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'sallyport-pictures-'))
  const demo = spawn(process.execPath, ['examples/demo/main.ts'], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(demo, 'exit')
  try {
    let tour = ''
    for await (const line of createInterface({ input: demo.stdout })) {
      tour += `${line}\n`
      if (line.includes('Ctrl+C stops it')) break
    }
    const [, url = ''] = /Console +(http\S+)/.exec(tour) ?? []
    const [, password = ''] = /Password +(\S+)/.exec(tour) ?? []
    const tab = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    await signIn(tab, url, password)
    await tab.goto(`${url}?range=week`)
    for (const colorScheme of ['light', 'dark'] as const) {
      await tab.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await tab.reload({ waitUntil: 'networkidle' })
      const name = colorScheme === 'dark' ? 'console-dark.png' : 'console.png'
      await take(tab, name, LARGEST_BYTES.console)
    }
    await tab.close()
  } finally {
    demo.kill('SIGINT')
    await ended
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** Signs in as the demo's admin, with the code from the simulated phone. */
async function signIn(tab: Page, url: string, password: string): Promise<void> {
  const [{ username, phone }] = STAFF
  await tab.goto(url)
  await tab.fill('[name=username]', username)
  await tab.fill('[name=password]', password)
  await tab.click('[type=submit]')
  await tab.waitForSelector('[name=code]')
  const response = await fetch(new URL('/dev/outbox.json', url))
  const texts = outbox.parse(await response.json()).filter(({ to }) => to === phone)
  await tab.fill('[name=code]', /#(\d+)$/.exec(texts.at(-1)?.text ?? '')?.[1] ?? '')
  await tab.click('[type=submit]')
  await tab.waitForURL(`${url}**`)
}
