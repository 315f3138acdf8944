import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const SOURCE = resolve(import.meta.dirname, '../../src')

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .toSorted()
  .map((path) => ({ path, text: readFileSync(join(SOURCE, path), 'utf8') }))

/** Where what somebody presents is compared with what is right. */
const COMPARING = [
  'accounts/foreign-hashes/encoding.ts',
  'crypto/cookie-signatures.ts',
  'messaging/signatures.ts',
  'oidc/client-secrets.ts',
  'second-factor/hotp.ts',
  'web/api/cursors.ts',
  'web/page-forms.ts',
  'web/visitor.ts',
]

const SECRET = /(secret|hash|mac|signature|digest|password)s?(\(.*\))?$/i
/** By these, nobody learns how much of a value is right. */
const HARMLESS =
  /^(undefined|null|true|false|-?\d+|'.*'|[A-Z][A-Z_]+(\.\w+)?|typeof .*|.*\.length)$/

/** The sides of each comparison that may end at the first difference. */
function risky(text: string): string[] {
  const side = String.raw`[\w.?]+(?:\([^()]*\)|\[[^[\]]*\])*|'[^'\n]*'`
  const pattern = new RegExp(
    `((?:typeof )?(?:${side}))(?: [=!]==? |\\.equals\\()(-?(?:${side}))`,
    'g',
  )
  const code = text.replace(/\/\*.*?\*\/|^\s*\/\/.*?$/gms, '')
  return [...code.matchAll(pattern)]
    .filter((found) => !found.slice(1).some((one) => HARMLESS.test(one)))
    .map(([, left, right]) => `${left}, ${right}`)
}

describe('what is secret is compared in a time that tells nothing of it [OIDC-26]', () => {
  test('by what Node has for that', () => {
    const users = files.filter(({ text }) => text.includes('timingSafeEqual('))
    expect(users.map(({ path }) => path)).toEqual(COMPARING)
  })

  test('and by nothing else', () => {
    /** What is no secret to who presents it, or isn't presented by anybody. */
    const open: Record<string, string> = {
      'accounts/password-setting.ts: held.password_hash, instead': 'a hash that we read, read anew',
      'admin/idempotency.ts: hash, found.request': 'a request and the one before, of one program',
      'web/account/password.ts: password, again': 'typed twice',
      'web/links.ts: password, again': 'typed twice',
      'web/visitor.ts: interaction, ctx.params?.uid': 'a cookie and the address it came with',
    }
    const found = files.flatMap(({ path, text }) =>
      risky(text)
        .filter(
          (sides) => COMPARING.includes(path) || sides.split(', ').some((one) => SECRET.test(one)),
        )
        .map((sides) => `${path}: ${sides}`),
    )
    expect(found).toEqual(Object.keys(open))
  })

  test('and what a gateway signed by what all of them share', () => {
    const judging = files.filter(({ text }) => text.includes("{ refused: 'signature' }"))
    expect(judging.length).toBeGreaterThan(5)
    const others = judging.filter(({ text }) => !/\b(sameText|isSignedByOne|verify)\(/.test(text))
    expect(others.map(({ path }) => path)).toEqual([])
  })
})
