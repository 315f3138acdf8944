import { generateKeyPair, SignJWT } from 'jose'
import { claimsOf } from './flow.ts'

/** The three parts of a token. */
export function segments(token: string): [string, string, string] {
  const [header = '', payload = '', signature = ''] = token.split('.')
  return [header, payload, signature]
}

export const asSegment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** An ID token as others could make one of it, who have no key of ours (OIDC-14). */
export async function forgedHints(
  idToken: string,
  { url, secret }: { url: string; secret: string },
): Promise<Array<[what: string, token: string]>> {
  const [header, payload, signature] = segments(idToken)
  const claims = claimsOf({ id_token: idToken })
  const { privateKey } = await generateKeyPair('RS256')
  const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
  const { keys } = JSON.parse(await (await fetch(`${url}/jwks`)).text())
  const unsigned = asSegment({ alg: 'none' })
  const signed = (alg: 'RS256' | 'HS256', key: Parameters<SignJWT['sign']>[0], named = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg, ...named }).sign(key)
  return [
    ['unsigned', `${unsigned}.${payload}.`],
    ['said to be unsigned', `${unsigned}.${payload}.${signature}`],
    ['without its signature', `${header}.${payload}.`],
    ['about somebody else', `${header}.${asSegment({ ...claims, sub: 'x' })}.${signature}`],
    ['signed by another’s key', await signed('RS256', privateKey, { kid })],
    ['by a public key', await signed('HS256', Buffer.from(JSON.stringify(keys[0])), { kid })],
    ['by the client’s secret', await signed('HS256', Buffer.from(secret.padEnd(32)))],
  ]
}
