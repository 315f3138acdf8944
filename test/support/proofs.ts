import { createHash, randomUUID } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { type PublicKeys, publicKeys } from '../../src/oidc/client-keys.ts'
import type { House } from './house.ts'

export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** A pair of keys as an app has it, with the public one as it registers it. */
export interface Pair {
  alg: string
  privateKey: CryptoKey
  jwk: JWK
  public: PublicKeys['keys'][number]
}

export async function makePair(alg = 'ES256', kid = 'k1'): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const set = publicKeys.parse({ keys: [{ ...(await exportJWK(publicKey)), kid }] })
  const [made] = set.keys
  if (!made) throw new Error('no key')
  return { alg, privateKey, jwk: await exportJWK(privateKey), public: made }
}

/** A client assertion (RFC 7523), any part of which can be bent. */
export function assertion(
  house: House,
  id: string,
  pair: Pair,
  { claims = {}, header = {} }: { claims?: Record<string, unknown>; header?: JWK } = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const all = { iss: id, sub: id, aud: house.issuer, jti: randomUUID(), iat: now, exp: now + 60 }
  return new SignJWT({ ...all, ...claims })
    .setProtectedHeader({ alg: pair.alg, kid: 'k1', ...header })
    .sign(pair.privateKey)
}

/** A DPoP proof (RFC 9449), any part of which can be bent. */
export async function proof(
  pair: Pair,
  htm: string,
  htu: string,
  {
    token,
    claims = {},
    header = {},
  }: { token?: string; claims?: Record<string, unknown>; header?: Record<string, unknown> } = {},
): Promise<string> {
  const { kid: _, ...jwk } = pair.public
  const ath = token && createHash('sha256').update(token).digest('base64url')
  const all = {
    htm,
    htu,
    jti: randomUUID(),
    iat: Math.floor(Date.now() / 1000),
    ...(ath && { ath }),
  }
  return new SignJWT({ ...all, ...claims })
    .setProtectedHeader({ alg: pair.alg, typ: 'dpop+jwt', jwk, ...header })
    .sign(pair.privateKey)
}

/** Posts a form to one instance, and reads the answer. */
export async function postTo(
  url: string,
  path: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(new URL(path, url), {
    method: 'POST',
    headers,
    body: new URLSearchParams(fields),
  })
  const text = await answer.text()
  return { status: answer.status, body: text ? JSON.parse(text) : {} }
}
