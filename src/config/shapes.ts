import { createPrivateKey } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { z } from 'zod'
import { asCountry } from '../phone-number.ts'

export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be from ${min} to ${max}`)

export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
)

export const url = (...protocols: string[]) =>
  z.string().refine(
    (text) => {
      const parsed = URL.parse(text)
      return parsed !== null && protocols.includes(parsed.protocol)
    },
    `must be a URL with ${protocols.join(' or ')}`,
  )

export const countries = list
  .refine(
    (codes) => codes.length > 0 && (codes.join() === '*' || codes.every((code) => asCountry(code))),
    'must be ISO 3166 codes of two letters, or * for all',
  )
  .transform((codes): ReadonlySet<string> | '*' => (codes.join() === '*' ? '*' : new Set(codes)))

/** `DK=a,b;US=c`: names in order, by country. */
export const routes = z
  .string()
  .transform((text, context): ReadonlyMap<string, readonly string[]> => {
    const entries = text
      .split(';')
      .filter((route) => route.trim())
      .map((route) => {
        const [country = '', names = '', ...more] = route.split('=').map((part) => part.trim())
        return { country, names: list.parse(names), more }
      })
    const fine = entries.every(
      ({ country, names, more }) => asCountry(country) && names.length > 0 && more.length === 0,
    )
    const distinct = new Set(entries.map(({ country }) => country)).size === entries.length
    if (!fine || !distinct || entries.length === 0) {
      context.addIssue('must be like DK=gatewayapi,telnyx;US=twilio, each country once')
      return z.NEVER
    }
    return new Map(entries.map(({ country, names }) => [country, names]))
  })

/** Names and addresses in the form that `URL` gives them, so that they can be compared. */
export const hosts = list.transform((names, context): ReadonlySet<string> => {
  const known = names.map((name) => {
    const address = name.replace(/^\[(.*)\]$/, '$1')
    if (!isIPv6(address) && !/^[\w-]+(\.[\w-]+)*$/.test(name)) return null
    const url = URL.parse(`https://${isIPv6(address) ? `[${address}]` : name}`)
    return url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? null
  })
  const fine = known.filter((host) => host !== null)
  if (fine.length === names.length) return new Set(fine)
  context.addIssue('must be names or addresses of hosts, without scheme and port')
  return z.NEVER
})

export const mailAddresses = list.refine(
  (addresses) =>
    addresses.length <= 20 && addresses.every((address) => z.email().safeParse(address).success),
  'must be at most 20 mail addresses',
)

export const keyList = list
  .transform((keys) => keys.map((key) => Buffer.from(key, 'base64')))
  .refine(
    (keys) => keys.length > 0 && keys.every(isStrongKey),
    'must be base64 of 32 random bytes each',
  )

export const cookieKeys = list.refine(
  (keys) => keys.length > 0 && keys.every((key) => key.length >= 32 && new Set(key).size >= 8),
  'must be random and at least 32 characters each',
)

function isStrongKey(key: Buffer): boolean {
  return key.length === 32 && new Set(key).size >= 8
}

export const apiBase = z.string().refine((text) => {
  const parsed = URL.parse(text)
  if (!parsed) return false
  if (parsed.username || parsed.password || parsed.hash) return false
  return (
    parsed.protocol === 'https:' || (parsed.protocol === 'http:' && isInternalHost(parsed.hostname))
  )
}, 'must be an https: URL (http: only for loopback and private hosts), without a user or a fragment')

/** Loopback, private addresses and bare names: places a self-hosted gateway lives without TLS. */
export function isInternalHost(host: string): boolean {
  return (
    isLoopbackHost(host) ||
    !/[.:]/.test(host) ||
    /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)[\d.]+$/.test(host)
  )
}

export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.[\d.]+$/.test(host)
}

export const issuer = url('https:', 'http:')
  .refine((text) => {
    const parsed = URL.parse(text)
    return (
      parsed !== null &&
      parsed.pathname === '/' &&
      !parsed.search &&
      !parsed.hash &&
      !parsed.username
    )
  }, 'must have no path, query, fragment or user')
  .transform((text) => new URL(text).origin)

export const timeout = wholeNumber(100, 20_000).default(5000)

/** Nothing but protocol, log-in, host and port: what else a URL can hold isn't read, so it isn't taken. */
export const smtpUrl = url('smtp:', 'smtps:').refine((text) => {
  const parsed = URL.parse(text)
  if (!parsed?.hostname || !/^\/?$/.test(parsed.pathname) || parsed.search || parsed.hash)
    return false
  return isDecodable(parsed.username) && isDecodable(parsed.password)
}, 'must be like smtps://user:password@host:port, with signs like @ and / in a password percent-encoded')

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** `address` or `Name <address>` */
export const sender = z
  .string()
  .trim()
  .transform((text) => {
    const [, name = '', address = text] = /^([^<>"\p{C}]{0,70}?)\s*<([^<>]+)>$/u.exec(text) ?? []
    return { name, address }
  })
  .refine(
    ({ address }) => z.email().safeParse(address).success,
    'must be an address, or a name and an address like Example <login@example.com>',
  )

/** A credential: whatever it is, it goes into headers and signatures, so it is one line without spaces around it. */
export const secretText = z.string().regex(/^[!-~]{1,500}$/, 'must be printable, without spaces')

/** Several of them are valid at a time while one takes over from another. */
export const secretList = list.refine(
  (secrets) => secrets.length > 0 && secrets.every((one) => /^[!-~]{1,500}$/.test(one)),
  'must be printable, without spaces; several are parted by commas',
)

/** An id that stands in paths and forms. */
export const idText = z.string().regex(/^[\w.-]{1,128}$/, 'must be an id of letters, digits and -')

export const pathSecret = z
  .string()
  .regex(/^[\w-]{24,128}$/, 'must be at least 24 random letters and digits')

/** Raw Ed25519 keys. */
export const publicKeys = list.refine(
  (keys) => keys.length > 0 && keys.every((key) => Buffer.from(key, 'base64').length === 32),
  'must be base64 of 32 bytes, as the portal shows it',
)

/** In one line, since many places that hold variables take no more. */
export const privateKey = z
  .string()
  .transform((text) => text.replaceAll('\\n', '\n').trim())
  .refine((pem) => {
    try {
      return createPrivateKey(pem).asymmetricKeyType === 'rsa'
    } catch {
      return false
    }
  }, 'must be an RSA private key in PEM, its line breaks written as \\n')

/** What a text shows as its sender: a number, or at most 11 letters and digits (GSM 03.38). */
export const smsSender = z
  .string()
  .trim()
  .regex(
    /^(\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$/,
    'must be a number like +4512345678, a short code, or at most 11 letters and digits',
  )

export const ownNumber = z
  .string()
  .trim()
  .regex(/^\+[1-9]\d{6,14}$/, 'must be a number like +4512345678')
