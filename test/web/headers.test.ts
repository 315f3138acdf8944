import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, createFlow } from '../support/flow.ts'
import { otherThan } from '../support/guesses.ts'
import { type House, startHouse } from '../support/house.ts'

/** One answer of each kind; `[what, status]` */
const KINDS = [
  ['login', 200],
  ['login, wrong', 401],
  ['login, incomplete', 400],
  ['login, right', 303],
  ['code', 200],
  ['code, wrong', 400],
  ['code sent again too soon', 429],
  ['code, used up', 403],
  ['a form from elsewhere', 403],
  ['a form too long', 413],
  ['no form', 415],
  ['consent', 200],
  ['back to the app', 303],
  ['back to the app, by a form', 200],
  ['logout', 200],
  ['logged out', 200],
  ['home', 200],
  ['nothing there', 404],
  ['nothing there, as JSON', 404],
  ['an interaction of nobody', 400],
  ['a resume of nobody', 400],
  ['an unknown app', 400],
  ['an unknown method', 405],
  ['discovery', 200],
  ['keys', 200],
  ['token, refused', 400],
  ['token, wrong secret', 401],
  ['userinfo, refused', 401],
  ['health', 200],
  ['readiness', 200],
] as const
type Kind = (typeof KINDS)[number][0]

/** The same for everybody, so it may be kept for a while. */
const PUBLIC: readonly Kind[] = ['discovery', 'keys']

/** Goes through everything a browser, an app or a stranger can meet. */
async function collect(house: House): Promise<Record<Kind, Answer>> {
  const third = await house.addClient('third', { firstParty: false })
  await house.addAccount('alex')
  const json = { accept: 'application/json' }

  const spoilt = createFlow(house, { client: third })
  await spoilt.toCode('alex')
  const code = await spoilt.page()
  const tooSoon = await spoilt.step('resend')
  const wrong = otherThan(house.lastCode())
  const wrongOnce = await spoilt.code(wrong)
  for (let i = 0; i < 4; i++) await spoilt.code(wrong)

  const flow = createFlow(house, { client: third })
  const login = await flow.begin({ scope: 'openid' })
  const wrongPassword = await flow.password('alex', 'not it')
  const incomplete = await flow.password('')
  const foreign = await flow.step('login', {}, { origin: 'https://evil.example' })
  const right = await flow.password('alex')
  const resumed = await flow.request((await flow.code(house.lastCode())).location ?? '')
  const consent = await flow.arrive(resumed.location ?? '')
  const allowed = await flow.step('consent')
  const back = await flow.request(allowed.location ?? '')
  const again = createFlow(house, { client: third, jar: flow.jar })
  const byForm = await again.begin({ response_mode: 'form_post' })
  const logout = await flow.request('/session/end')
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(logout.html)?.[1] ?? ''
  const loggedOut = await flow.post('/session/end/confirm', { xsrf, logout: 'yes' })

  const any = createFlow(house, { client: { id: 'third', secret: 'wrong' } })
  const token = (authorization: string) =>
    any.request('/token', {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'authorization_code', code: 'x' }),
      headers: { authorization },
    })
  return {
    login,
    'login, wrong': wrongPassword,
    'login, incomplete': incomplete,
    'login, right': right,
    code,
    'code, wrong': wrongOnce,
    'code sent again too soon': tooSoon,
    'code, used up': await spoilt.page(),
    'a form from elsewhere': foreign,
    'a form too long': await spoilt.code('1'.repeat(20_000)),
    'no form': await spoilt.request(`${spoilt.path}/code`, { method: 'POST', body: '{}' }),
    consent,
    'back to the app': back,
    'back to the app, by a form': byForm,
    logout,
    'logged out': await flow.request(loggedOut.location ?? ''),
    home: await any.request('/'),
    'nothing there': await any.request('/nothing'),
    'nothing there, as JSON': await any.request('/nothing', { headers: json }),
    'an interaction of nobody': await any.request('/interaction/x'),
    'a resume of nobody': await any.request('/auth/x'),
    'an unknown app': await any.request('/auth?client_id=nobody'),
    'an unknown method': await any.request('/', { method: 'PROPFIND' }),
    discovery: await any.request('/.well-known/openid-configuration', { headers: json }),
    keys: await any.request('/jwks', { headers: json }),
    'token, refused': await token(`Basic ${btoa(`third:${third.secret}`)}`),
    'token, wrong secret': await token(`Basic ${btoa('third:wrong')}`),
    'userinfo, refused': await any.request('/me', { headers: { authorization: 'Bearer x' } }),
    health: await any.request('/healthz'),
    readiness: await any.request('/readyz'),
  }
}

function directives(answer: Answer): Map<string, string> {
  const policy = answer.headers.get('content-security-policy') ?? ''
  return new Map(
    policy.split(/; */).map((part) => {
      const [name = '', ...values] = part.split(' ')
      return [name, values.join(' ')]
    }),
  )
}

/** Addresses in a page that a browser would fetch or go to. */
function addressesIn(html: string): string[] {
  return [...html.matchAll(/(?:src|href|action|srcset|data|poster)="([^"]*)"/g)].map(
    ([, address = '']) => address,
  )
}

describe.each(['http://localhost', 'https://login.example.com'])(
  'under %s, the answer',
  (issuer) => {
    const secure = issuer.startsWith('https:')
    let house: House
    let answers: Record<Kind, Answer>

    beforeAll(async () => {
      house = await startHouse(secure ? { env: { ISSUER: issuer, TRUST_PROXY: '1' } } : {})
      answers = await collect(house)
    })
    afterAll(() => house.stop())

    test.each(KINDS)('%s (%d) carries every header (WEB-05 to WEB-07, SES-15)', (kind, status) => {
      const answer = answers[kind]
      const { headers } = answer
      expect(answer.status, answer.html).toBe(status)
      const policy = directives(answer)
      expect(policy.get('default-src')).toBe("'none'")
      expect(policy.get('base-uri')).toBe("'none'")
      expect(policy.get('frame-ancestors')).toBe("'none'")
      expect(headers.get('content-security-policy')).not.toMatch(/unsafe|\*|http:|data:/)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('x-frame-options')).toBe('DENY')
      expect(headers.get('referrer-policy')).toMatch(/^(no-referrer|same-origin)$/)
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin-allow-popups')
      expect(headers.get('cross-origin-resource-policy')).toMatch(/^(same|cross)-origin$/)
      expect(headers.get('permissions-policy')).toContain('otp-credentials=(self)')
      const kept = PUBLIC.includes(kind) ? 'public, max-age=300' : 'no-store'
      expect(headers.get('cache-control')).toMatch(new RegExp(`^(no-cache, )?${kept}$`))
      const hsts = headers.get('strict-transport-security')
      expect(hsts).toBe(secure ? 'max-age=31536000; includeSubDomains' : null)
      for (const name of ['server', 'x-powered-by', 'via', 'x-aspnet-version'])
        expect(headers.get(name), name).toBeNull()
      for (const cookie of headers.getSetCookie()) {
        expect(cookie).toMatch(/; ?httponly/i)
        expect(/; ?secure/i.test(cookie), cookie).toBe(secure)
      }
    })

    test.each(KINDS)('%s (%d) says what it is, with its charset (WEB-13)', (kind, status) => {
      const { headers, html } = answers[kind]
      const type = headers.get('content-type') ?? ''
      if (html)
        expect(type).toMatch(
          /^(text\/(html|plain)|application\/(json|jwk-set\+json)); charset=utf-8$/i,
        )
      if (status !== 303) expect(html.startsWith('<!')).toBe(type.startsWith('text/html'))
    })

    test.each(KINDS)(
      '%s (%d) names nothing of the inside, and loads nothing from elsewhere (WEB-08, WEB-16)',
      (kind) => {
        const { headers, html } = answers[kind]
        expect(html).not.toMatch(/node_modules|\.ts:|\n\s+at |select .* from|postgres|nunjucks/i)
        if (!headers.get('content-type')?.startsWith('text/html')) return
        for (const address of addressesIn(html)) {
          const url = new URL(address, `${house.issuer}/interaction/x`)
          const ours = url.origin === house.issuer
          expect(ours || kind === 'back to the app, by a form', address).toBe(true)
        }
        // What stands in the page itself is let through by its hash, or not at all.
        const hashed = directives(answers[kind]).get('script-src')?.includes("'sha256-") ?? false
        expect(/<script(?![^>]*\bsrc=)[^>]*>/.test(html)).toBe(hashed)
        expect(html).not.toMatch(/<style|\sstyle=|\son\w+=/)
      },
    )

    test('an asset may be kept for good, and carries the other headers too (WEB-20)', async () => {
      const flow = createFlow(house)
      const assets = addressesIn(answers.code.html).filter((address) =>
        address.includes('/assets/'),
      )
      expect(assets.length).toBeGreaterThan(2)
      for (const asset of assets) {
        const { status, headers } = await flow.request(asset)
        expect(status).toBe(200)
        expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
        expect(headers.get('content-type')).toMatch(/^(text\/css|text\/javascript|image\/)/)
        expect(headers.get('x-content-type-options')).toBe('nosniff')
        expect(headers.get('content-security-policy')).toContain("default-src 'none'")
        expect(headers.getSetCookie()).toEqual([])
      }
    })
  },
)
