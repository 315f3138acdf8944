import type { Callback } from './gateway.ts'
import { headerOf, hmac, isSignedByOne, isTimely } from './signatures.ts'

interface Signed {
  /** of the event: the same whenever it is sent again */
  id: string
  /** seconds since 1970 */
  timestamp: number
  body: string | Buffer
}

/**
 * What goes into `webhook-signature` (standardwebhooks.com).
 * @param secret `whsec_` and base64, or the base64 alone
 */
export function signStandardWebhook(secret: string, { id, timestamp, body }: Signed): string {
  return `v1,${hmac('sha256', keyOf(secret), [`${id}.${timestamp}.`, body], 'base64')}`
}

/** Whether a request was signed by one of the secrets, and lately. */
export function verifyStandardWebhook(
  secrets: readonly string[],
  callback: Callback,
): { id: string } | { refused: 'signature' | 'stale' } {
  const id = headerOf(callback, 'webhook-id') ?? ''
  const time = headerOf(callback, 'webhook-timestamp') ?? ''
  const signatures = headerOf(callback, 'webhook-signature')?.split(' ') ?? []
  // Full stops part what is signed, so one within the id would let it be read in two ways.
  if (!/^[!-~]{1,256}$/.test(id) || id.includes('.')) return { refused: 'signature' }
  if (!/^[1-9]\d{0,11}$/.test(time)) return { refused: 'signature' }
  const timestamp = Number(time)
  // No bytes at all come of a secret that isn't base64, and anyone can sign with those.
  const usable = secrets.filter((secret) => keyOf(secret).length > 0)
  const sign = (secret: string) =>
    signStandardWebhook(secret, { id, timestamp, body: callback.body })
  if (!signatures.some((given) => isSignedByOne(usable, given, sign)))
    return { refused: 'signature' }
  return isTimely(timestamp, callback.now) ? { id } : { refused: 'stale' }
}

function keyOf(secret: string): Buffer {
  return Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
}
