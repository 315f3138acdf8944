import { Refusal } from '../errors.ts'
import type { Registration } from './new-client.ts'

/**
 * A registration with the sector in which its pairwise `sub`s hold (OpenID Connect Core 8.1). It is settled when
 * subjects become pairwise and kept from then on: with another redirect host, everybody would be a stranger.
 * @param named what was said of the sector; undefined when nothing was
 * @throws Refusal where it isn't clear
 */
export function withSector(
  registration: Registration,
  named: string | null | undefined,
): Registration {
  const { subjectType, grants, redirectUris } = registration
  const refuse = (sentence: string) => new Refusal('client', 400, sentence)
  if (subjectType === 'public') {
    if (named) throw refuse('A sector is only for pairwise subjects.')
    return { ...registration, sector: null }
  }
  if (grants.includes('device_code'))
    throw refuse('A device comes back to no host, so people have the same sub there as elsewhere.')
  if (!grants.includes('authorization_code'))
    throw refuse('A client that signs nobody in has no use for pairwise subjects.')
  if (registration.sector !== null) return registration
  const [host, ...others] = new Set(redirectUris.map((uri) => URL.parse(uri)?.host ?? ''))
  if (!host || others.length > 0)
    throw refuse('Its redirect URIs have no one host: name the sector in which a sub is to hold.')
  return { ...registration, sector: host }
}
