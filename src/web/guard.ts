import type { Context, Middleware } from 'koa'
import { PageRefusal } from './refusals.ts'

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  // form-action is left out on purpose: browsers apply it to the whole chain of redirects behind a form,
  // so it would stop the way back to the app.
].join('; ')

const METHODS = new Set(['GET', 'HEAD', 'POST', 'OPTIONS'])
/** The API takes more, and where clients manage themselves; which of them an address takes, it says itself. */
const MORE_METHODS = /^\/(api|reg)\//i
const API_METHODS = new Set([...METHODS, 'PUT', 'PATCH', 'DELETE'])

/** Headers of every answer, whatever becomes of the request (WEB-05 to WEB-08). */
export function securityHeaders(secure: boolean): Middleware {
  return async (ctx, next) => {
    ctx.set({
      'Content-Security-Policy': CONTENT_SECURITY_POLICY,
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'DENY',
      // Not no-referrer: with it browsers send `Origin: null` even from our own forms.
      'Referrer-Policy': 'same-origin',
      'Cross-Origin-Opener-Policy': 'same-origin-allow-popups',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Permissions-Policy': 'otp-credentials=(self), camera=(), microphone=(), geolocation=()',
      'Cache-Control': 'no-store',
    })
    if (secure) ctx.set('Strict-Transport-Security', 'max-age=31536000; includeSubDomains')
    const methods = MORE_METHODS.test(ctx.path) ? API_METHODS : METHODS
    if (!methods.has(ctx.method)) {
      ctx.set('Allow', [...methods].join(', '))
      throw new PageRefusal('method', 405, 'refusal.method')
    }
    await next()
  }
}

/**
 * Refuses a form that another site sent (WEB-01). Browsers tell where a POST comes from; where neither
 * header is there, no browser sent it and the form token decides alone.
 */
export function assertOwnOrigin(ctx: Context, issuer: string): void {
  const site = ctx.get('Sec-Fetch-Site')
  const origin = ctx.get('Origin')
  if ((site && site !== 'same-origin') || (origin && origin !== issuer)) {
    throw new PageRefusal('cross_site', 403, 'refusal.crossSite', { issuer })
  }
}

/** The provider's own forms, which confirm a sign-out and connect a device, by the paths under which its router takes them. */
const PROVIDER_FORM = /^\/(session\/end\/confirm|device)\/?$/i

export function guardProviderForms(issuer: string): Middleware {
  return async (ctx, next) => {
    if (ctx.method === 'POST' && PROVIDER_FORM.test(ctx.path)) assertOwnOrigin(ctx, issuer)
    await next()
  }
}
