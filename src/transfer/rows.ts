import { z } from 'zod'
import type { ImportedAccount } from '../accounts/account-import.ts'
import {
  type FirebaseParameters,
  firebaseHash,
  signerKeyOf,
} from '../accounts/foreign-hashes/firebase-scrypt.ts'
import { foreignForm } from '../accounts/passwords.ts'
import { readProfile } from '../accounts/profile.ts'
import { Refusal } from '../errors.ts'
import { type ParsedPhone, type PhoneFault, parsePhoneNumber } from '../phone-number.ts'
import { PHONES_AT_MOST } from '../second-factor/phones.ts'

/** A row that can be written. */
export interface ReadyRow extends ImportedAccount {
  phones: Array<ParsedPhone & { verified: boolean }>
}

/** Why a row isn't written: a sentence that quotes nothing of it. */
export interface RowFault {
  fault: string
}

export interface RowRules {
  allowedCountries: ReadonlySet<string> | '*'
  defaultCountry: string | undefined
  /** of the project that hashes with a salt beside them come from */
  firebase: FirebaseParameters | undefined
  /** ids of the signer keys that are kept */
  signerKeys: ReadonlySet<string>
}

const text = z.string()
const flag = z.boolean().nullish()

/** One account in JSON, as it is exported and imported. Roles are given by an administrator, never by a file. */
const shape = z.strictObject({
  /** of the account where it was exported: an account always gets an id of its own */
  id: text.nullish(),
  username: text,
  email: text.nullish(),
  email_verified: flag,
  name: text.nullish(),
  disabled: flag,
  password_hash: text.nullish(),
  password_salt: text.nullish(),
  phone: text.nullish(),
  phone_verified: flag,
  phones: z
    .array(z.strictObject({ number: text, verified: flag }))
    .max(PHONES_AT_MOST)
    .nullish(),
})
type Shape = z.infer<typeof shape>
export const FIELDS = Object.keys(shape.shape)

const PHONE_WORDS: Record<PhoneFault, string> = {
  'not-a-number':
    'The phone is not a number. Write it with + and the country code, or set DEFAULT_COUNTRY.',
  'not-textable': "The phone can't receive texts (landline, premium or special number).",
  'country-not-allowed': "The phone is in a country that SMS_ALLOWED_COUNTRIES doesn't allow.",
}

/** Reads an account out of what a file's row was found to hold. */
export function readRow(input: unknown, rules: RowRules): ReadyRow | RowFault {
  const parsed = shape.safeParse(input)
  if (!parsed.success) return { fault: faultOfShape(parsed.error) }
  const given = parsed.data
  const profile = profileOf(given)
  if ('fault' in profile) return profile
  const phones = phonesOf(given, rules)
  if ('fault' in phones) return phones
  const hash = hashOf(given, rules)
  if (typeof hash === 'object') return hash
  return {
    ...profile,
    emailVerified: profile.email === undefined ? undefined : (given.email_verified ?? undefined),
    passwordHash: hash,
    disabled: given.disabled ?? false,
    phones,
  }
}

function profileOf(given: Shape): Pick<ReadyRow, 'username' | 'email' | 'name'> | RowFault {
  try {
    const { username, email, name } = readProfile({
      username: given.username,
      email: given.email,
      name: given.name,
    })
    return { username, email: email ?? undefined, name: name ?? undefined }
  } catch (error) {
    if (error instanceof Refusal) return { fault: error.message }
    throw error
  }
}

function phonesOf(given: Shape, rules: RowRules): ReadyRow['phones'] | RowFault {
  const first = given.phone?.trim() ? [{ number: given.phone, verified: given.phone_verified }] : []
  const phones = new Map<string, ReadyRow['phones'][number]>()
  for (const { number, verified } of [...first, ...(given.phones ?? [])]) {
    const parsed = parsePhoneNumber(number, rules.allowedCountries, rules.defaultCountry)
    if ('fault' in parsed) return { fault: PHONE_WORDS[parsed.fault] }
    if (!phones.has(parsed.number))
      phones.set(parsed.number, { ...parsed, verified: verified ?? false })
  }
  return phones.size > PHONES_AT_MOST
    ? { fault: `There are more than ${PHONES_AT_MOST} phones.` }
    : [...phones.values()]
}

function hashOf(
  { password_hash: hash, password_salt: salt }: Shape,
  { firebase, signerKeys }: RowRules,
): string | undefined | RowFault {
  if (!hash)
    return salt ? { fault: 'There is a password_salt without a password_hash.' } : undefined
  if (salt && !firebase) {
    return {
      fault:
        "A password hash with a salt beside it is Firebase's, and needs its project's hash parameters.",
    }
  }
  const form = foreignForm(
    salt && firebase ? firebaseHash(firebase, standard(salt), standard(hash)) : hash,
  )
  if ('fault' in form) return form
  const key = signerKeyOf(form.stored)
  if (key !== undefined && !signerKeys.has(key))
    return { fault: "The password hash is of a Firebase project whose signer key isn't kept here." }
  return form.stored
}

/** Base64 of the usual alphabet out of that for URLs. */
function standard(base64: string): string {
  return base64.replaceAll('-', '+').replaceAll('_', '/')
}

/** Names fields, which are no secrets, and never what stands in them. */
function faultOfShape(error: z.ZodError): string {
  const [issue] = error.issues
  if (issue?.code === 'unrecognized_keys') return `There is a field beside ${FIELDS.join(', ')}.`
  const path = issue?.path.join('.') ?? ''
  if (path === '') return 'The row is no object.'
  if (path === 'username') return 'There is no username.'
  return issue?.code === 'invalid_type' && issue.expected === 'boolean'
    ? `${path} is neither true nor false.`
    : `${path} is of another kind than it has to be.`
}
