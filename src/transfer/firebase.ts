import { z } from 'zod'
import { Refusal } from '../errors.ts'
import type { Item } from './text.ts'

/** What is taken of a user of `firebase auth:export`. */
const userShape = z.object({
  localId: z.string(),
  email: z.string().nullish(),
  emailVerified: z.boolean().nullish(),
  displayName: z.string().nullish(),
  phoneNumber: z.string().nullish(),
  disabled: z.boolean().nullish(),
  passwordHash: z.string().nullish(),
  salt: z.string().nullish(),
})

/**
 * A user of Firebase Authentication, as an account is imported. They have no user names: the e-mail address is
 * taken for one, or else the id. A number is there only once it was proven.
 */
export function firebaseUser(user: unknown): Pick<Item, 'input' | 'fault'> {
  const { data } = userShape.safeParse(user)
  if (!data) return { fault: 'This is no user of a Firebase export.' }
  return {
    input: {
      username: data.email || data.localId,
      email: data.email,
      email_verified: data.emailVerified,
      name: data.displayName,
      disabled: data.disabled,
      phones: data.phoneNumber ? [{ number: data.phoneNumber, verified: true }] : [],
      password_hash: data.passwordHash || null,
      password_salt: data.passwordHash ? data.salt : null,
    },
  }
}

const parametersShape = z.object({
  base64_signer_key: z.base64().min(1),
  base64_salt_separator: z.base64(),
  rounds: z.coerce.number().int().positive(),
  mem_cost: z.coerce.number().int().positive(),
})

/** A project's password hash parameters. */
export interface FirebaseProject {
  signerKey: Buffer
  saltSeparator: string
  rounds: number
  memCost: number
}

/**
 * Reads a project's parameters as the Firebase console shows them (`hash_config { … }`), or as JSON of the same
 * names.
 * @throws Refusal when one is missing or malformed
 */
export function readFirebaseProject(text: string): FirebaseProject {
  const pairs = [...text.matchAll(/"?(\w+)"?\s*:\s*"?([A-Za-z0-9+/=]+)"?/g)]
  const named = Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, value]))
  const { data } = parametersShape.safeParse(named)
  if (!data) {
    throw new Refusal(
      'firebase',
      400,
      'The hash parameters must have base64_signer_key, base64_salt_separator, rounds and mem_cost, as the Firebase console shows them.',
    )
  }
  return {
    signerKey: Buffer.from(data.base64_signer_key, 'base64'),
    saltSeparator: data.base64_salt_separator,
    rounds: data.rounds,
    memCost: data.mem_cost,
  }
}
