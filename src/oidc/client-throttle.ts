import type { Middleware } from 'koa'
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Throttle } from '../accounts/throttle.ts'
import { addressKey } from '../address.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import { remember } from './remember.ts'
import type { UnitsOfWork } from './unit-of-work.ts'

export type ClientThrottle = ReturnType<typeof createClientThrottle>

/** Routes that clients show their secret to. */
const AUTHENTICATED = new Set<unknown>([
  'token',
  'introspection',
  'revocation',
  'pushed_authorization_request',
  'device_authorization',
])

/** Of ways to prove who a client is, those without a secret. */
const UNGUESSABLE = new Set<unknown>(['none', 'private_key_jwt'])

interface Dependencies {
  throttle: Throttle
  units: UnitsOfWork
  fingerprint: Fingerprints
}

/**
 * Slows down guessing of client secrets, per client and address (THR-24). Only failures are counted, after
 * they were judged, since secrets of 256 bits fall to no burst; a right secret costs no statement. An instance
 * that knows of a lock refuses the pair whatever it presents; one that doesn't learns of it at the next failure.
 * Public clients have nothing to guess, nor have those with keys, whom a neighbour at their address could lock; and of
 * clients that there aren't, anybody could make up as many as they like.
 */
export function createClientThrottle({ throttle, units, fingerprint }: Dependencies) {
  /** until when pairs are locked, as last heard from the database: in milliseconds of `performance.now()` */
  const lockedUntil = new Map<string, number>()
  /** pairs that failed lately, to be forgiven at the next success */
  const unforgiven = new Map<string, Buffer>()
  const failed = new WeakSet<object>()
  const note = (ctx: KoaContextWithOIDC, error: Error) => {
    if (error.message === 'invalid_client') failed.add(ctx.req)
  }

  function refuse(ctx: Parameters<Middleware>[0], seconds: number): void {
    units.current().discard()
    ctx.status = 429
    ctx.set('Retry-After', String(seconds))
    ctx.body = {
      error: 'slow_down',
      error_description: 'too many failed client authentications; try again later',
    }
  }

  const slowDown: Middleware = async (ctx, next) => {
    await next()
    // Not by its path: the provider's router takes it in any case, and with a slash at the end (THR-09).
    if (!AUTHENTICATED.has(ctx.oidc?.route)) return
    const { client } = ctx.oidc
    if (!client || UNGUESSABLE.has(client.clientAuthMethod)) return
    const key = fingerprint('client', `${client.clientId}\0${addressKey(ctx.ip)}`)
    const name = key.toString('hex')
    const left = Math.ceil(((lockedUntil.get(name) ?? 0) - performance.now()) / 1000)
    if (left > 0) return refuse(ctx, left)
    lockedUntil.delete(name)
    if (!failed.has(ctx.req)) {
      if (unforgiven.delete(name)) await throttle.clear(key)
      return
    }
    remember(unforgiven, name, key)
    const seconds = await throttle.countFailure(key)
    if (seconds === 0) return
    remember(lockedUntil, name, performance.now() + seconds * 1000)
    refuse(ctx, seconds)
  }

  /** The layer for a provider; what is known of locks outlives it. */
  return (provider: Provider): Middleware => {
    provider.on('grant.error', note)
    provider.on('introspection.error', note)
    provider.on('revocation.error', note)
    provider.on('pushed_authorization_request.error', note)
    provider.on('device_authorization.error', note)
    return slowDown
  }
}
