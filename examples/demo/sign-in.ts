import { z } from 'zod'
import { createScriptedBrowser, type Page } from '../scripted-browser.ts'
import type { Printer } from './printer.ts'

interface SignIn {
  issuer: string
  app: string
  username: string
  password: string
  phone: string
  print: Printer
}

const messages = z.array(z.object({ to: z.string(), text: z.string() }))
const claims = z.record(z.string(), z.unknown())

/**
 * Signs in as a person at a browser would, telling each step.
 * @returns the claims of the ID token, as the app shows them once it has verified it
 * @throws Error saying which page came instead of the one that was due
 */
export async function signIn({ issuer, app, username, password, phone, print }: SignIn) {
  const hosts = new Map([
    [new URL(app).host, 'app'],
    [new URL(issuer).host, 'provider'],
  ])
  let told = false
  const browser = createScriptedBrowser({
    onHop({ method, url, status }) {
      const { host, pathname } = new URL(url)
      const path = pathname.replace(/[\w-]{20,}/, '…')
      const where = (hosts.get(host) ?? host).padEnd(8)
      if (told) print.detail(`${where}  ${method.padEnd(4)} ${path.padEnd(24)} ${status}`)
    },
  })
  const start = await browser.open(app)
  assertDue(start, 'the app’s start page', () => start.form({ button: 'Sign in' }))
  told = true

  print.step(1, 'The app sends you to the provider, which asks for name and password')
  const login = await start.form({ button: 'Sign in' }).submit()
  assertDue(login, 'the login page', () => login.form({ has: 'password' }))

  print.step(2, 'Name and password are right: a code is texted to your phone')
  const code = await login.form({ has: 'password' }).submit({ username, password })
  assertDue(code, 'the page that asks for the code', () => code.form({ has: 'code' }))

  print.step(3, `The simulated phone (${phone}) shows`)
  const { text, digits } = await lastCode(issuer, phone)
  print.message(text)

  print.step(4, 'You type the code, and the provider sends you back to the app')
  const home = await code.form({ has: 'code' }).submit({ code: digits })
  const shown = home.document.querySelector('#claims')
  if (home.status !== 200 || !shown) throw unexpected(home, 'the app with the ID token verified')

  print.step(5, 'The app exchanges its authorization code and verifies the ID token')
  const checks = home.document.querySelector('.checked')?.text
  if (checks) print.detail(checks)
  return claims.parse(JSON.parse(shown.text))
}

/** The newest text with a code, read from the simulated phone; a text may take a moment. */
async function lastCode(issuer: string, phone: string) {
  for (let tries = 0; tries < 50; tries++) {
    const response = await fetch(`${issuer}/dev/outbox.json`)
    const received = messages.parse(await response.json()).filter(({ to }) => to === phone)
    for (const { text } of received.toReversed()) {
      const digits = /#(\d+)$/.exec(text)?.[1]
      if (digits) return { text, digits }
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('no code reached the simulated phone')
}

function assertDue(page: Page, what: string, look: () => unknown): void {
  try {
    look()
  } catch {
    throw unexpected(page, what)
  }
}

function unexpected({ status, url, text }: Page, what: string): Error {
  const { origin, pathname } = new URL(url)
  return new Error(`${what} was due, but ${origin}${pathname} answered ${status}:\n\n${text}`)
}
