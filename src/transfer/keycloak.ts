import { z } from 'zod'
import type { Item } from './text.ts'

type Found = Pick<Item, 'input' | 'fault'>

const value = z.union([z.string(), z.array(z.string())])

/** What is taken of a user of a realm's export; the rest (roles, groups, other credentials) stays behind. */
const userShape = z.object({
  username: z.string(),
  email: z.string().nullish(),
  emailVerified: z.boolean().nullish(),
  firstName: z.string().nullish(),
  lastName: z.string().nullish(),
  enabled: z.boolean().nullish(),
  serviceAccountClientId: z.string().nullish(),
  attributes: z.record(z.string(), z.unknown()).nullish(),
  credentials: z.array(z.looseObject({ type: z.string().nullish() })).nullish(),
})
type User = z.infer<typeof userShape>

const count = z.coerce.number().int().positive()
const numberList = z.array(count).length(1)

/** Since Keycloak 8, two texts of JSON. */
const secretShape = z.object({ value: z.string(), salt: z.string() })
const credentialShape = z.object({
  hashIterations: count,
  algorithm: z.string(),
  additionalParameters: z.record(z.string(), z.unknown()).nullish(),
})
const argon2Shape = z.object({
  type: z.tuple([z.enum(['id', 'i', 'd'])]),
  version: z.tuple([z.enum(['1.0', '1.3'])]),
  memory: numberList,
  parallelism: numberList,
})
/** Before that. */
const oldShape = z.object({
  hashedSaltedValue: z.string(),
  salt: z.string(),
  hashIterations: count,
  algorithm: z.string().default('pbkdf2'),
})

const PBKDF2 = new Map([
  ['pbkdf2', 'sha1'],
  ['pbkdf2-sha256', 'sha256'],
  ['pbkdf2-sha512', 'sha512'],
])
const PHONE_ATTRIBUTES = ['phoneNumber', 'phone_number', 'phone', 'mobile']
const VERIFIED_ATTRIBUTES = ['phoneNumberVerified', 'phone_number_verified', 'phone_verified']

/** A user of a Keycloak realm export, as an account is imported. */
export function keycloakUser(user: unknown): Found {
  const parsed = userShape.safeParse(user)
  if (!parsed.success) return { fault: 'This is no user of a Keycloak export.' }
  const given = parsed.data
  if (given.serviceAccountClientId)
    return { fault: "This is a client's service account, nobody's." }
  const hash = hashOf(given)
  if (hash !== null && typeof hash === 'object') return hash
  const name = [given.firstName, given.lastName].filter(Boolean).join(' ')
  return {
    input: {
      username: given.username,
      email: given.email,
      email_verified: given.emailVerified,
      name: name || null,
      disabled: given.enabled === false,
      phones: phonesOf(given.attributes ?? {}),
      password_hash: hash,
    },
  }
}

function phonesOf(attributes: Record<string, unknown>) {
  const valuesOf = (name: string) => [value.safeParse(attributes[name]).data ?? []].flat()
  const verified = VERIFIED_ATTRIBUTES.flatMap(valuesOf).includes('true')
  const numbers = PHONE_ATTRIBUTES.flatMap(valuesOf).filter((number) => number.trim() !== '')
  // What was verified is said once, and stands for the first.
  return numbers.map((number, index) => ({ number, verified: verified && index === 0 }))
}

function hashOf({ credentials }: User): string | null | { fault: string } {
  const password = credentials?.find(({ type }) => type === 'password')
  if (!password) return null
  if (typeof password.value === 'string')
    return { fault: 'The password stands there as it is typed. Only hashes are imported.' }
  const read = oldCredential(password) ?? newCredential(password)
  return read ?? { fault: 'The password credential can’t be read.' }
}

function oldCredential(credential: unknown): string | { fault: string } | undefined {
  const { data } = oldShape.safeParse(credential)
  return data && pbkdf2Form(data.algorithm, data.hashIterations, data.salt, data.hashedSaltedValue)
}

function newCredential(
  credential: Record<string, unknown>,
): string | { fault: string } | undefined {
  const secret = secretShape.safeParse(json(credential.secretData)).data
  const rest = credentialShape.safeParse(json(credential.credentialData)).data
  if (!secret || !rest) return undefined
  const { algorithm, hashIterations, additionalParameters } = rest
  if (algorithm !== 'argon2')
    return pbkdf2Form(algorithm, hashIterations, secret.salt, secret.value)
  const { data } = argon2Shape.safeParse(additionalParameters)
  if (!data) return undefined
  const version = data.version[0] === '1.3' ? 19 : 16
  const cost = `m=${data.memory[0]},t=${hashIterations},p=${data.parallelism[0]}`
  return `$argon2${data.type[0]}$v=${version}$${cost}$${bare(secret.salt)}$${bare(secret.value)}`
}

function pbkdf2Form(
  algorithm: string,
  rounds: number,
  salt: string,
  hash: string,
): string | { fault: string } {
  const digest = PBKDF2.get(algorithm)
  if (digest) return `$pbkdf2-${digest}$i=${rounds}$${bare(salt)}$${bare(hash)}`
  const named = /^[\w-]{1,40}$/.test(algorithm) ? ` (${algorithm})` : ''
  return { fault: `The password's hash is of an algorithm that is not known here${named}.` }
}

/** Base64 without its padding, as PHC has it. */
function bare(base64: string): string {
  return base64.replace(/=+$/, '')
}

function json(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : text
  } catch {
    return undefined
  }
}
