import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { FRAMEWORKS } from '../../src/web/admin/snippets/frameworks.ts'
import { PRODUCTS } from '../../src/web/admin/snippets/products.ts'
import { PUBLIC_APPS } from '../../src/web/admin/snippets/public-apps.ts'
import { ENDPOINTS } from '../../src/web/admin/snippets/snippet.ts'

const FOLDER = resolve(import.meta.dirname, '../../docs/integrations')

/** Where each stands; `path` is where it comes back to, unless the library says so itself. */
const PAGES: Record<string, { page: string; path?: string }> = {
  'Express, express-openid-connect': { page: 'express.md' },
  'Auth.js, Next.js': { page: 'nextjs.md' },
  'Spring Boot': { page: 'spring.md' },
  'Spring Boot, PKCE before Spring Security 7': { page: 'spring.md' },
  'ASP.NET Core': { page: 'aspnet-core.md', path: '/signin-oidc' },
  'Django, mozilla-django-oidc': { page: 'django.md' },
  'Rails, omniauth_openid_connect': { page: 'rails.md' },
  'Go, coreos/go-oidc': { page: 'go.md' },
  'oauth2-proxy': { page: 'oauth2-proxy.md' },
  'Apache, mod_auth_openidc': { page: 'apache.md', path: '/oidc/callback' },
  Grafana: { page: 'grafana.md' },
  'A page in the browser, oidc-client-ts': { page: 'single-page-app.md' },
}
const KEYCLOAK = 'Keycloak, as an identity provider of it'
/** The first has a page of its own form, one an app to copy, two are for phones. */
const WITHOUT = [KEYCLOAK, 'Node.js, openid-client', 'Android, AppAuth', 'iOS and macOS, AppAuth']
const recipes = [...FRAMEWORKS, ...PRODUCTS, ...PUBLIC_APPS]

test('what the console gives to copy stands on a page, or is known to have none', () => {
  expect(recipes.map(({ library }) => library).sort()).toEqual(
    [...Object.keys(PAGES), ...WITHOUT].sort(),
  )
})

for (const [library, { page, path }] of Object.entries(PAGES)) {
  test(`the page of ${library} has what the console gives to copy`, () => {
    const recipe = recipes.find((one) => one.library === library)
    const text = recipe?.text({
      issuer: 'https://id.example.com',
      id: 'shop',
      secret: 'YOUR_CLIENT_SECRET',
      redirectUri: `https://shop.example.com${recipe.comesBackTo ?? path ?? '/callback'}`,
      postLogoutRedirectUri: 'https://shop.example.com/',
      scopes: ['openid', 'profile', 'email'],
      introspects: [],
    })
    expect(readFileSync(join(FOLDER, page), 'utf8')).toContain(`\n${text?.trimEnd()}\n\`\`\`\n`)
  })
}

test('every page is in the list of them', () => {
  const list = readFileSync(join(FOLDER, 'README.md'), 'utf8')
  const missing = readdirSync(FOLDER).filter(
    (name) => name !== 'README.md' && !list.includes(`(${name})`),
  )
  expect(missing).toEqual([])
})

test('the page of Keycloak has each setting that the console gives to copy', () => {
  const recipe = recipes.find(({ library }) => library === KEYCLOAK)
  const text = recipe?.text({
    issuer: 'https://id.example.com',
    id: 'keycloak',
    secret: 'SECRET',
    redirectUri: 'https://keycloak.example.com/realms/shop/broker/sallyport/endpoint',
    postLogoutRedirectUri: undefined,
    scopes: ['openid', 'profile', 'email', 'phone'],
    introspects: [],
  })
  const settings = (of: string) =>
    [...of.matchAll(/ -s (?:'([^']+)'|(\S+))/g)].map(([, quoted, plain]) => quoted ?? plain)
  const page = readFileSync(join(FOLDER, 'keycloak.md'), 'utf8')
  const given = settings(text ?? '')
  expect(given.length).toBeGreaterThan(15)
  expect(settings(page)).toEqual(expect.arrayContaining(given))
})

test('every address of Sallyport on the pages is one there is', () => {
  const address = /https(?::\/\/|%3A%2F%2F)id\.example\.com((?:\/|%2F)[\w./%-]*)/g
  const named = readdirSync(FOLDER).flatMap((page) =>
    [...readFileSync(join(FOLDER, page), 'utf8').matchAll(address)].map(
      ([, path = '']) => decodeURIComponent(path).split('?')[0],
    ),
  )
  expect(named.length).toBeGreaterThan(8)
  expect(Object.values(ENDPOINTS)).toEqual(expect.arrayContaining(named))
})
