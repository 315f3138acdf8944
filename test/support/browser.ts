import { createServer } from 'node:http'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import type { Languages } from '../../src/languages/languages.ts'
import { launchChromium } from './chromium.ts'
import { listen } from './fake-textbee.ts'
import { createFlow } from './flow.ts'
import { type House, PASSWORD, startHouse } from './house.ts'

export const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  hasTouch: true,
  isMobile: true,
}
export const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 } }

/** Chromium notes every answer of 4xx or 5xx as an error; a page that says what is wrong is none. */
const REFUSED_PAGE = /^Failed to load resource: the server responded with a status of [45]\d\d/

export type World = Awaited<ReturnType<typeof openWorld>>
export type Visit = Awaited<ReturnType<World['visit']>>

export interface Person {
  username: string
  phone: string
}

/** A house, a real browser, and an app on another site for it to sign people in to. */
export async function openWorld(env: Record<string, string> = {}, languages?: Languages) {
  const [house, browser, app] = await Promise.all([
    startHouse({ env, ...(languages && { languages }) }),
    launchChromium(),
    startApp(),
  ])
  const client = await house.addClient('app', { name: 'Harbour', redirectUris: [app.callback] })
  await house.addClient('third', {
    name: 'Third Party',
    firstParty: false,
    redirectUris: [app.callback],
    postLogoutRedirectUris: [`${app.origin}/`],
  })
  await house.addClient('lax', {
    name: 'Corner shop',
    secondFactor: 'optional',
    redirectUris: [app.callback],
  })
  const visits: Array<{ complaints: string[]; close: () => Promise<void> }> = []
  let people = 0

  return {
    house,
    browser,
    app,

    /** Someone with an account and a number of their own. */
    async newcomer(name = 'person'): Promise<Person> {
      people += 1
      const person = { username: `${name}${people}`, phone: `+46701${234_600 + people}` }
      await house.addAccount(person.username, person.phone)
      return person
    },

    /** Someone with an account, and a number that it doesn't have yet. */
    async bareNewcomer(): Promise<Person> {
      people += 1
      const person = { username: `bare${people}`, phone: `+46702${234_600 + people}` }
      await house.addAccount(person.username, null)
      return person
    },

    /** A fresh browser profile, with nothing kept from any other. */
    async visit(options: BrowserContextOptions = DESKTOP) {
      const visit = await newVisit(browser, house, app.callback, options)
      visits.push(visit)
      return visit
    },

    client,

    /** Closes all visits and tells what their consoles complained of: scripts, styles, policy. */
    async leave(): Promise<string[]> {
      const left = visits.splice(0)
      await Promise.all(left.map((visit) => visit.close()))
      return left.flatMap(({ complaints }) => complaints)
    },

    async stop(): Promise<void> {
      await browser.close()
      await app.close()
      await house.stop()
    },
  }
}

async function newVisit(
  browser: Browser,
  house: House,
  callback: string,
  options: BrowserContextOptions,
) {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(15_000)
  const complaints: string[] = []
  context.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    const { url } = message.location()
    if (REFUSED_PAGE.test(message.text()) && !url.includes('/assets/')) return
    complaints.push(`${url}: ${message.text()}`)
  })
  context.on('weberror', (error) => complaints.push(String(error.error())))
  const page = await context.newPage()

  const visit = {
    context,
    page,
    complaints,

    /** Comes from an app, in this tab unless another is given. */
    async begin(
      params: Record<string, string> = {},
      { tab = page, client = 'app' }: { tab?: Page; client?: string } = {},
    ): Promise<void> {
      const flow = createFlow(house, { client: { id: client, secret: '' } })
      await tab.goto(house.issuer + flow.authorizationUrl({ redirect_uri: callback, ...params }))
    },

    async password({ username }: Person, password = PASSWORD, tab = page): Promise<void> {
      await tab.getByLabel('Username').fill(username)
      await tab.getByLabel('Password').fill(password)
      await tab.getByRole('button', { name: 'Continue' }).click()
    },

    async code(code: string, tab = page): Promise<void> {
      await codeField(tab).fill(code)
      await tab.getByRole('button', { name: 'Continue' }).click()
    },

    /** From the app to the page that asks for the code; returns the code that came. */
    async toCode(person: Person, params: Record<string, string> = {}, tab = page): Promise<string> {
      await visit.begin(params, { tab })
      await visit.password(person, PASSWORD, tab)
      await codeField(tab).waitFor()
      return house.lastCode(person.phone)
    },

    /** What the app got, once the browser is back at it. */
    async arrival(tab = page): Promise<URLSearchParams> {
      await tab.waitForURL((url) => url.href.startsWith(callback))
      await tab.getByRole('heading', { name: 'Back at the app' }).waitFor()
      return new URL(tab.url()).searchParams
    },

    close: () => context.close(),
  }
  return visit
}

export function codeField(page: Page) {
  return page.getByRole('textbox', { name: '6-digit code' })
}

/** 127.0.0.1 and localhost are different origins, and different sites. */
async function startApp() {
  const server = createServer((request, response) => {
    if (request.url === '/favicon.ico') {
      response.writeHead(204).end()
      return
    }
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end('<!doctype html><html lang="en"><title>App</title><h1>Back at the app</h1>')
  })
  const origin = `http://127.0.0.1:${await listen(server)}`
  return {
    origin,
    callback: `${origin}/cb`,
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Another code than the right one. */
export function wrong(code: string): string {
  return String((Number(code) + 1) % 1_000_000).padStart(6, '0')
}
