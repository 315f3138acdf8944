import { type KeyObject, randomUUID, sign } from 'node:crypto'

/** Far less than the quarter of an hour it may be: each is used once, and at once. */
const LIFE_SECONDS = 300

/** What an application shows in place of a password: a JWT by its own key. */
export function applicationToken({
  applicationId,
  key,
}: {
  applicationId: string
  key: KeyObject
}): string {
  const now = Math.floor(Date.now() / 1000)
  const signed = [
    { typ: 'JWT', alg: 'RS256' },
    { application_id: applicationId, iat: now, exp: now + LIFE_SECONDS, jti: randomUUID() },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key).toString('base64url')}`
}
