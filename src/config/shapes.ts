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
  return (
    parsed.protocol === 'https:' || (parsed.protocol === 'http:' && isInternalHost(parsed.hostname))
  )
}, 'must be an https: URL (http: only for loopback and private hosts)')

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

export const timeout = wholeNumber(100, 60_000).default(5000)

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
