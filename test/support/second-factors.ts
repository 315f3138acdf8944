import { Secret, TOTP } from 'otpauth'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import { type Answer, claimsOf, type Flow } from './flow.ts'
import type { House } from './house.ts'

export const MFA = 'https://refeds.org/profile/mfa'
export const SFA = 'https://refeds.org/profile/sfa'

/** A backup code as it is shown. */
const BACKUP_CODE = /<code>((?:[BCDFGHJKLMNPQRSTVWXZ]{4}-){3}[BCDFGHJKLMNPQRSTVWXZ]{4})<\/code>/g

/** The texts with a code in them; notices go the same way, when it is their turn. */
export function codeTexts(house: House): Array<{ to: string; code: string }> {
  return house.gateway.messages.flatMap(({ to, text }) => {
    const code = /#(\d+)$/.exec(text)?.[1]
    return code ? [{ to, code }] : []
  })
}

/** A page is known by its heading. */
export function headingOf({ html }: Answer): string {
  return /<h1>(.*?)<\/h1>/s.exec(html)?.[1]?.trim() ?? ''
}

/** What a page says is wrong. */
export function alertOf({ html }: Answer): string {
  return /role="alert"[^>]*>.*?<p>(.*?)<\/p>/s.exec(html)?.[1] ?? ''
}

export function backupCodesOn({ html }: Answer): string[] {
  return [...html.matchAll(BACKUP_CODE)].flatMap(([, code]) => code ?? [])
}

/** The key that a page shows for typing it into an app. */
export function appKeyOn({ html }: Answer): string {
  return /<code class="secret"[^>]*>([A-Z2-7 ]+)<\/code>/.exec(html)?.[1]?.replaceAll(' ', '') ?? ''
}

/** The phones a page offers, by their ids. */
export function phonesOn({ html }: Answer): string[] {
  return [...html.matchAll(/name="phone" value="([^"]+)"/g)].flatMap(([, id]) => id ?? [])
}

/** What an app shows at a time, in seconds since 1970. */
export function appCode(key: string, atSeconds: number): string {
  return new TOTP({ secret: Secret.fromBase32(key) }).generate({ timestamp: atSeconds * 1000 })
}

/** Gives an account one more proven phone. @returns its id */
export async function addPhone(house: House, accountId: string, number: string, verified = true) {
  const parsed = parsePhoneNumber(number, '*')
  if ('fault' in parsed) throw new Error(`${number}: ${parsed.fault}`)
  return (await house.rooms.phones.add(accountId, parsed, verified)).id
}

/** Gives an account a proven authenticator app. @returns its key */
export async function addApp(
  house: House,
  account: { id: string; username: string },
): Promise<string> {
  const { id, secret } = await house.rooms.authenticators.begin(account)
  await house.db
    .updateTable('authenticator')
    .set({ confirmed_at: new Date() })
    .where('id', '=', id)
    .execute()
  return secret
}

/** What the app is told of a sign-in, at the end of it. */
export async function arrive(flow: Flow, answer: Answer): Promise<Record<string, unknown>> {
  const query = await flow.resume(answer)
  const { status, body } = await flow.redeem(query.get('code') ?? '')
  if (status !== 200) throw new Error(`no token: ${query} ${JSON.stringify(body)}`)
  return claimsOf(body)
}

/** Types of an account's audit events, oldest first. */
export async function eventsOf(house: House, accountId: string): Promise<string[]> {
  const rows = await house.db
    .selectFrom('audit_event')
    .select('type')
    .where('account_id', '=', accountId)
    .orderBy('id')
    .execute()
  return rows.map(({ type }) => type)
}

/** Kinds of the notices that an account's owner was sent, or is to be. */
export async function noticesOf(house: House, accountId: string): Promise<string[]> {
  const rows = await house.db
    .selectFrom('notice')
    .select('kind')
    .distinct()
    .where('account_id', '=', accountId)
    .execute()
  return rows.map(({ kind }) => kind).toSorted()
}
