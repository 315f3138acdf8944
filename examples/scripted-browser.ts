import fetchCookie from 'fetch-cookie'
import { type HTMLElement, parse } from 'node-html-parser'
import { CookieJar } from 'tough-cookie'
import { type FieldValues, type Form, type FormQuery, findForm } from './scripted-form.ts'

/** One request the browser made, and how it was answered. */
export interface Hop {
  method: string
  url: string
  status: number
  /** where a redirect leads, as an absolute URL */
  location: string | null
}

/** Added to what a browser sends by itself; `null` leaves a header out. */
export type ExtraHeaders = Record<string, string | null>

export interface VisitOptions {
  headers?: ExtraHeaders
  /** Stops before a redirect to a URL that begins like this, without asking for it. */
  until?: string | readonly string[]
  /** Stops before a redirect to another host or port. */
  followOnlySameHost?: boolean
  /** More redirects than this are an error (20). With 0, redirects are not followed: the page is the redirect itself. */
  maxRedirects?: number
}

export interface BrowserOptions extends VisitOptions {
  /** told of each request as it is answered */
  onHop?: (hop: Hop) => void
  jar?: CookieJar
}

export interface Page {
  /** where the browser is; for a redirect that was not followed (see `stopped`), where it would have gone */
  url: string
  /** whether `url` was not asked for, because of `until` or `followOnlySameHost` */
  stopped: boolean
  /** of the last answer; for a stopped page, of the redirect */
  status: number
  headers: Headers
  html: string
  document: HTMLElement
  /** what a person reads */
  text: string
  /** the requests that led here, the redirects among them */
  hops: readonly Hop[]
  /** The form that fits; with nothing asked for, the first. Throws an error that lists what there is. */
  form(query?: FormQuery): PageForm
  /** Follows the link with this text. */
  follow(text: string | RegExp, options?: VisitOptions): Promise<Page>
}

export interface PageForm extends Form {
  /**
   * Sends the form as it is on the page, hidden fields too, with these fields filled in.
   * A field need not be on the page; `null` leaves one out.
   */
  submit(fields?: FieldValues, options?: VisitOptions): Promise<Page>
}

export type ScriptedBrowser = ReturnType<typeof createScriptedBrowser>

interface Outgoing {
  method: 'GET' | 'POST'
  url: string
  body?: URLSearchParams | undefined
  /** the page whose form or link it is; none for an address typed in */
  from?: string | undefined
}

const REDIRECTS = new Set([301, 302, 303, 307, 308])

/**
 * A person at a browser without JavaScript: opens pages, fills in forms, presses buttons, keeps cookies
 * and follows redirects one by one.
 *
 * @param defaults hold for each visit that doesn't say otherwise; headers are put together
 */
export function createScriptedBrowser(defaults: BrowserOptions = {}) {
  const jar = defaults.jar ?? new CookieJar()
  const fetchWithCookies = fetchCookie(fetch, jar)
  const hops: Hop[] = []
  let current: Page | undefined

  async function visit(first: Outgoing, visitOptions: VisitOptions = {}): Promise<Page> {
    const options = { ...defaults, ...visitOptions }
    const headers = { ...defaults.headers, ...visitOptions.headers }
    const stops = typeof options.until === 'string' ? [options.until] : (options.until ?? [])
    const limit = options.maxRedirects ?? 20
    const trail: Hop[] = []
    let next = first
    for (;;) {
      const response = await fetchWithCookies(next.url, {
        method: next.method,
        headers: headersOf(next, headers),
        redirect: 'manual',
        ...(next.body && { body: next.body }),
      })
      const location = locationOf(response, next.url)
      const hop = { method: next.method, url: next.url, status: response.status, location }
      hops.push(hop)
      trail.push(hop)
      defaults.onHop?.(hop)
      if (location === null || limit === 0) {
        return arrive(next.url, response, await response.text(), trail, false)
      }
      await response.body?.cancel()
      const leaves = options.followOnlySameHost && new URL(location).host !== new URL(next.url).host
      if (leaves || stops.some((prefix) => location.startsWith(prefix))) {
        return arrive(location, response, '', trail, true)
      }
      if (trail.length > limit) {
        throw new Error(`More than ${limit} redirects:\n${trail.map(describeHop).join('\n')}`)
      }
      const keeps = response.status === 307 || response.status === 308
      next = keeps ? { ...next, url: location } : { method: 'GET', url: location, from: next.from }
    }
  }

  function arrive(
    url: string,
    { status, headers }: Response,
    html: string,
    trail: readonly Hop[],
    stopped: boolean,
  ): Page {
    const document = parse(html)
    const page: Page = {
      url,
      stopped,
      status,
      headers,
      html,
      document,
      text: readable(html),
      hops: trail,
      form(query = {}) {
        const form = findForm(document, query, url)
        return {
          ...form,
          submit: (fields = {}, options = {}) => {
            const body = form.fill(fields)
            return form.method === 'POST'
              ? visit({ method: 'POST', url: form.action, body, from: url }, options)
              : visit({ method: 'GET', url: withQuery(form.action, body), from: url }, options)
          },
        }
      },
      follow(text, options) {
        const href = document
          .querySelectorAll('a[href]')
          .find((link) => matches(link.text, text))
          ?.getAttribute('href')
        if (href === undefined) throw new Error(`No link ${text} on ${url}:\n${page.text}`)
        return visit({ method: 'GET', url: new URL(href, url).href, from: url }, options)
      },
    }
    current = page
    return page
  }

  return {
    jar,
    /** every request since the browser was made */
    hops,

    /** the page it shows */
    get page(): Page {
      if (!current) throw new Error('nothing was opened yet')
      return current
    },

    /** Opens an address as if typed in. */
    open: (url: string, options?: VisitOptions) => visit({ method: 'GET', url }, options),

    /** Sends a form that is on no page; it looks as if it came from the target's own origin. */
    post(url: string, fields: Record<string, string>, options?: VisitOptions): Promise<Page> {
      return visit({ method: 'POST', url, body: new URLSearchParams(fields), from: url }, options)
    },

    /** The cookies it would send to a URL, by name. */
    async cookies(url: string): Promise<Record<string, string>> {
      const cookies = await jar.getCookies(url)
      return Object.fromEntries(cookies.map(({ key, value }) => [key, value]))
    },
  }
}

/** The headers by which browsers tell what a request is for and where it comes from. */
function headersOf({ method, url, from }: Outgoing, extra: ExtraHeaders): Record<string, string> {
  const headers: Record<string, string | null> = {
    accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
    'accept-language': 'en',
    'user-agent': 'Mozilla/5.0 (compatible; Sallyport scripted browser)',
    'sec-fetch-dest': 'document',
    'sec-fetch-site': relation(from, url),
    ...(method === 'POST' && from && { origin: new URL(from).origin }),
    ...Object.fromEntries(
      Object.entries(extra).map(([name, value]) => [name.toLowerCase(), value]),
    ),
  }
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  )
}

/** `Sec-Fetch-Site`. Ports of one host are one site; other hosts are taken for other sites. */
function relation(from: string | undefined, to: string): string {
  if (from === undefined) return 'none'
  const [a, b] = [new URL(from), new URL(to)]
  if (a.origin === b.origin) return 'same-origin'
  return a.protocol === b.protocol && a.hostname === b.hostname ? 'same-site' : 'cross-site'
}

function locationOf({ status, headers }: Response, base: string): string | null {
  const location = REDIRECTS.has(status) ? headers.get('location') : null
  return location === null ? null : new URL(location, base).href
}

/** A form sent by GET puts its fields in place of the query of its address. */
function withQuery(action: string, fields: URLSearchParams): string {
  return Object.assign(new URL(action), { search: fields.toString() }).href
}

function readable(html: string): string {
  const document = parse(html, { blockTextElements: { script: false, style: false } })
  const body = document.querySelector('body') ?? document
  return body.structuredText.replace(/[^\S\n]+/g, ' ').trim()
}

function matches(text: string, wanted: string | RegExp): boolean {
  const plain = text.replace(/\s+/g, ' ').trim()
  return typeof wanted === 'string' ? plain === wanted : wanted.test(plain)
}

function describeHop({ method, url, status }: Hop): string {
  return `  ${method} ${url} ${status}`
}
