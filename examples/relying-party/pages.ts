import { readFileSync } from 'node:fs'
import type { User } from './sessions.ts'

export const styles = readFileSync(new URL('styles.css', import.meta.url), 'utf8')

/** HTML that is safe as it is; only `markup` makes it. */
interface Html {
  readonly html: string
}
const made = new WeakSet<object>()

export function signedOutPage(notice?: string): string {
  return layout(
    'Example app',
    markup`
      ${notice ? markup`<p class="notice" role="status">${notice}</p>` : ''}
      <h1>Example app</h1>
      <p class="lead">It has no passwords of its own: signing in is left to your provider.</p>
      <form action="/sign-in"><button class="main">Sign in</button></form>`,
  )
}

/**
 * @param api whether there is an API to ask
 * @param notice what came of the last thing the person did
 */
export function signedInPage(
  { claims, profile, idToken }: User,
  { api, notice }: { api: boolean; notice?: string | undefined },
): string {
  const name = profile.name ?? profile.preferred_username ?? claims.sub
  const { alg } = headerOf(idToken)
  return layout(
    'Signed in – Example app',
    markup`
      ${notice ? markup`<p class="notice" role="status">${notice}</p>` : ''}
      <h1>Hello, ${name}</h1>
      <p class="lead">You are signed in.</p>
      <h2>How you signed in</h2>
      ${claimTable([
        ['acr', claims.acr, LEVELS[String(claims.acr)] ?? 'a level this app doesn’t know'],
        ['amr', listOf(claims.amr), explainMethods(claims.amr)],
        [
          'auth_time',
          claims.auth_time,
          `when the last of them was checked: ${time(claims.auth_time)}`,
        ],
      ])}
      ${api ? apiSection : ''}
      <h2>Who you are</h2>
      ${claimTable([
        ['sub', claims.sub, 'your account at the provider; it never changes'],
        ['name', profile.name, 'your name'],
        ['preferred_username', profile.preferred_username, 'your user name'],
        ['email', profile.email, checked(profile.email_verified)],
        ['phone_number', profile.phone_number, checked(profile.phone_number_verified)],
      ])}
      <p class="checked">Checked in the ID token: ${alg} signature, iss, aud, nonce, exp.</p>
      <details>
        <summary>The ID token’s claims as JSON</summary>
        <pre id="claims" tabindex="0">${JSON.stringify(claims, null, 2)}</pre>
      </details>
      <form action="/sign-out" method="post"><button>Sign out</button></form>`,
  )
}

const apiSection = markup`
      <h2>What you can do here</h2>
      <p class="meaning">Both ask the API behind this app. Moving money takes two factors, shown in the last five
        minutes.</p>
      <form action="/api/balance" method="post"><button>Read my balance</button></form>
      <form action="/api/transfers" method="post"><button>Move money</button></form>`

export function errorPage(title: string, message: string): string {
  return layout(
    `${title} – Example app`,
    markup`
      <h1>${title}</h1>
      <p class="lead">${message}</p>
      <form action="/sign-in"><button class="main">Sign in</button></form>
      <p><a href="/">Back to the start</a></p>`,
  )
}

const LEVELS: Record<string, string> = {
  'https://refeds.org/profile/sfa': 'one factor: something you know',
  'https://refeds.org/profile/mfa': 'two factors: something you know and something you have',
}

/** RFC 8176. */
const METHODS: Record<string, string> = {
  pwd: 'a password',
  otp: 'a one-time code',
  sms: 'sent by text',
  tel: 'spoken in a call',
  mfa: 'so more than one factor',
}

function explainMethods(amr: unknown): string {
  return Array.isArray(amr) ? amr.map((method) => METHODS[method] ?? method).join(', ') : ''
}

function listOf(value: unknown): string | undefined {
  return Array.isArray(value) ? value.join(', ') : undefined
}

function time(seconds: number | undefined): string {
  return seconds === undefined ? 'unknown' : new Date(seconds * 1000).toUTCString()
}

function checked(verified: unknown): string {
  return verified === true ? 'checked by the provider' : 'not checked by the provider'
}

/** Name, value and meaning of each claim that is there. */
function claimTable(claims: [name: string, value: unknown, meaning: string][]): Html {
  const rows = claims
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value, meaning]) => markup`
        <tr>
          <th scope="row"><code>${name}</code></th>
          <td><span class="value">${value}</span><span class="meaning">${meaning}</span></td>
        </tr>`,
    )
  return markup`<table>${rows}</table>`
}

function headerOf(token: string): { alg: string } {
  const header: unknown = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
  const known = typeof header === 'object' && header !== null && 'alg' in header
  return { alg: known ? String(header.alg) : 'unknown' }
}

function layout(title: string, main: Html): string {
  return markup`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>${title}</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <link rel="stylesheet" href="/styles.css">
  </head>
  <body>
    <main>${main}</main>
  </body>
</html>`.html
}

/** A template whose values are escaped, unless they are templates themselves. */
function markup(parts: TemplateStringsArray, ...values: unknown[]): Html {
  const html = { html: String.raw({ raw: parts }, ...values.map(escapeValue)) }
  made.add(html)
  return html
}

function escapeValue(value: unknown): string {
  if (Array.isArray(value)) return value.map(escapeValue).join('')
  if (isHtml(value)) return value.html
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

function isHtml(value: unknown): value is Html {
  return typeof value === 'object' && value !== null && made.has(value)
}
