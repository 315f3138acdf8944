import { z } from 'zod'
import { jsonOf } from './report-body.ts'
import { hmac, isSignedByOne } from './signatures.ts'

const Header = z.object({ alg: z.literal('HS256') })

/**
 * What a JWT says that one of the secrets signed by HS256, whatever algorithm it names.
 * @returns undefined where none did
 */
export function readToken(
  token: string,
  secrets: readonly string[],
): { claims: unknown } | undefined {
  const [, signed = '', signature = ''] = /^([\w-]+\.[\w-]+)\.([\w-]{43})$/.exec(token) ?? []
  const sign = (secret: string) =>
    Buffer.from(hmac('sha256', secret, [signed], 'hex'), 'hex').toString('base64url')
  if (!isSignedByOne(secrets, signature, sign)) return undefined
  const [header, claims] = signed.split('.').map((part) => jsonOf(Buffer.from(part, 'base64url')))
  return Header.safeParse(header).success ? { claims } : undefined
}
