import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { isUsername, USERNAME_LIMIT } from './account.ts'

/** Most characters of a full name. */
export const NAME_LIMIT = 200
/** Most characters of an e-mail address (RFC 5321, 4.5.3.1.3, without the angle brackets). */
export const EMAIL_LIMIT = 254

const address = z.email().max(EMAIL_LIMIT)

/** What somebody is called and written to; null takes a value away, and what is undefined isn't spoken of. */
export interface Profile {
  username?: string | undefined
  name?: string | null | undefined
  email?: string | null | undefined
}

/**
 * What an account is to be called, in the form that is kept, wherever it was typed or read: nothing else writes
 * these columns. What is empty is none.
 * @throws Refusal, which quotes nothing of it, when a value is out of bounds
 */
export function readProfile<Given extends Profile>(given: Given): Given {
  const username = given.username?.normalize('NFKC').trim()
  const name = given.name === undefined ? undefined : given.name?.trim() || null
  const email = given.email === undefined ? undefined : given.email?.trim() || null
  if (username !== undefined && !isUsername(username))
    throw refused('username', `A username has 1 to ${USERNAME_LIMIT} visible characters.`)
  if (name && (name.length > NAME_LIMIT || /\p{C}/u.test(name)))
    throw refused('name', `A full name has at most ${NAME_LIMIT} characters, all of them visible.`)
  if (email && !address.safeParse(email).success)
    throw refused('email', 'An e-mail address looks like anna@example.com.')
  return { ...given, username, name, email }
}

function refused(code: string, sentence: string): Refusal {
  return new Refusal(code, 400, sentence)
}
