import { createHmac } from 'node:crypto'
import { deriveKey } from '../crypto/keys.ts'

export type Subjects = ReturnType<typeof createSubjects>

/**
 * What people are called at apps with pairwise subjects (OpenID Connect Core 8.1): the same at all apps of a sector,
 * another at those of the next, and nothing that could be traced back without the key.
 * @param pepper random, sealed in the database and never changed: who loses it makes everybody a stranger there
 */
export function createSubjects(pepper: Buffer) {
  const key = deriveKey(pepper, 'pairwise-subjects')
  return {
    /** @param sector host that the app belongs to */
    of: (accountId: string, sector: string): string =>
      createHmac('sha256', key).update(`${sector}\0${accountId}`).digest('base64url'),
  }
}
