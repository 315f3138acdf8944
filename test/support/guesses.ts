import { expect } from 'vitest'
import { hotp } from '../../src/second-factor/hotp.ts'
import type { Answer, Flow } from './flow.ts'
import type { House } from './house.ts'

/** A code that is certainly not the given one. */
export function otherThan(code: string): string {
  return String((Number(code) + 1) % 10 ** code.length).padStart(code.length, '0')
}

/** How often the newest challenge was guessed at. */
export async function guessesCounted(house: House): Promise<number> {
  const { attempts } = await house.db
    .selectFrom('challenge')
    .select('attempts')
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  return attempts
}

/** The phone of an account that has one, with its secret opened and its counter. */
export async function openPhone(house: House, accountId: string) {
  const { id, hotp_secret, hotp_counter } = await house.db
    .selectFrom('phone')
    .select(['id', 'hotp_secret', 'hotp_counter'])
    .where('account_id', '=', accountId)
    .executeTakeFirstOrThrow()
  if (!hotp_secret) throw new Error('the phone has no secret yet')
  const secret = house.rooms.vault.open(hotp_secret, { column: 'phone.hotp_secret', row: id })
  const counter = BigInt(hotp_counter)
  return { id, counter, codeAt: (at: bigint) => hotp(secret, at, house.config.otp.length) }
}

/** Whether the browser of a flow is signed in, as an app would find out. */
export async function isSignedIn(flow: Flow): Promise<boolean> {
  const { location } = await flow.request(flow.authorizationUrl({ prompt: 'none' }))
  const query = new URL(location ?? '').searchParams
  if (query.has('code')) return true
  expect(query.get('error')).toBe('login_required')
  return false
}

/** The right code still leads to the app: nothing was lost by what went before. */
export async function expectStillOpen(flow: Flow, code: string): Promise<void> {
  const query = await flow.resume(await flow.code(code))
  expect(query.get('code')).toBeTruthy()
}

/** An answer that gives nothing an app or an attacker could use. */
export function expectNoWayIn(answer: Answer): void {
  expect(answer.location ?? '').not.toMatch(/[?&]code=|^https:\/\/rp\.example/)
  expect(answer.html).not.toMatch(/access_token|id_token"|"sub"/)
  expect(answer.status).toBeLessThan(500)
}
