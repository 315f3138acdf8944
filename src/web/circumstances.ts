import type { Context, Middleware } from 'koa'
import { addressKey } from '../address.ts'
import { type Circumstances, inCircumstances } from '../audit/circumstances.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import { inTime } from '../db/deadline.ts'
import { once } from '../once.ts'
import { browserName } from './browser-name.ts'

/** Enough to tell addresses apart, too little to be asked for more. */
const ADDRESS_BYTES = 8

/** Where a request comes from, for a person to know it again. */
export function placeOf(ctx: Pick<Context, 'ip' | 'get'>): { address: string; browser: string } {
  return { address: ctx.ip, browser: browserName(ctx.get('User-Agent')) }
}

/**
 * Tells what is recorded during a request who acts and from where: the person at the page, unless somebody else says
 * so; and gives it its time.
 */
export function createCircumstances(fingerprint: Fingerprints): Middleware {
  return (ctx, next) => {
    // Most requests record nothing, and what isn't asked for isn't hashed.
    const address = once(() =>
      fingerprint('address', addressKey(ctx.ip)).subarray(0, ADDRESS_BYTES).toString('hex'),
    )
    const network = once(() => fingerprint('network', addressKey(ctx.ip, 48)).toString('hex'))
    const place = once(() => placeOf(ctx))
    const where: Circumstances = {
      actor: 'self',
      requestId: String(ctx.state.requestId),
      get address() {
        return address()
      },
      get network() {
        return network()
      },
      get place() {
        return place()
      },
    }
    return inTime(() => inCircumstances(where, next), arrivalOf(ctx))
  }
}

/** What comes at once, from any sender. */
const SHORT_BYTES = 64 * 1024

/** When all of a request is here whose body takes a while; undefined for others. */
function arrivalOf({ req }: Context): ((then: () => void) => void) | undefined {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = req.headers
  const short = encoding === undefined && Number(length) <= SHORT_BYTES
  return short ? undefined : (then) => void req.once('end', then)
}
