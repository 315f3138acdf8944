import { once } from 'node:events'
import { mkdirSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createLanguages, loadCatalogues } from '../src/languages/languages.ts'
import { createLanguageChoice } from '../src/web/language.ts'
import { createPages } from '../src/web/pages.ts'
import { launchChromium } from '../test/support/chromium.ts'

/** Makes the pictures of the README, run by hand: `node docs/pictures.ts` */

const IMAGES = join(import.meta.dirname, 'images')
const LARGEST_BYTES = 150_000

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

const browser = await launchChromium()
try {
  mkdirSync(IMAGES, { recursive: true })
  const pictures = { 'code-page.png': 'light', 'code-page-dark.png': 'dark' } as const
  for (const [name, colorScheme] of Object.entries(pictures)) {
    const tab = await browser.newPage({
      viewport: { width: 390, height: 764 },
      deviceScaleFactor: 2,
      colorScheme,
    })
    await tab.goto(`http://127.0.0.1:${address.port}/`)
    await tab.getByRole('textbox').fill('294 731')
    const path = join(IMAGES, name)
    await tab.screenshot({ path, caret: 'hide' })
    await tab.close()
    const { size } = statSync(path)
    if (size > LARGEST_BYTES) throw new Error(`${name} is ${size} bytes, too large for a README`)
    console.log(`${name}: ${Math.round(size / 1000)} kB`)
  }
} finally {
  await browser.close()
  server.close()
}
