import { createHmac } from 'node:crypto'
import { type Role, usernameKey } from '../../src/accounts/account.ts'
import type { CompleteSecrets } from '../../src/config/development-keys.ts'
import { type ParsedPhone, parsePhoneNumber } from '../../src/phone-number.ts'
import type { Rooms } from '../../src/rooms.ts'

export const CLIENT_ID = 'demo-app'
export const API_ID = 'demo-api'
/** a program that reads at the admin's side */
export const ADMIN_CLIENT_ID = 'demo-admin'

/** From the range that the Swedish authority keeps for fiction: they ring nowhere. */
const PHONE = '+46701740605'
const WORK_PHONE = '+46701740606'
/** robin's, who has none yet and is to add it */
export const NEW_PHONE = '+46701740607'

/** Those at the admin's side, each with a phone. */
export const STAFF = [
  { username: 'kim', role: 'admin', phone: '+46701740608' },
  { username: 'hanna', role: 'helpdesk', phone: '+46701740609' },
  { username: 'otto', role: 'auditor', phone: '+46701740610' },
] as const satisfies ReadonlyArray<{ username: string; role: Role; phone: string }>

export interface Sample {
  username: string
  password: string
  phone: string
  /** one-time codes of the same person, made anew at each start */
  backupCodes: string[]
  /** someone who has the same password and no second factor yet */
  newcomer: string
  clientSecret: string
  apiSecret: string
}

/**
 * Makes the sample people and registers the app and its API, through the rooms and beside the running provider,
 * as the command line does. All are made anew at each start, whatever was done to them in the one before.
 */
export async function registerSample(
  rooms: Rooms,
  secrets: CompleteSecrets,
  appPort: number,
): Promise<Sample> {
  const password = samplePassword(secrets)
  const backupCodes = await makeAlex(rooms, password)
  await makePerson(rooms, 'robin', password)
  return {
    username: 'alex',
    password,
    phone: PHONE,
    backupCodes,
    newcomer: 'robin',
    ...(await registerClients(rooms, `http://localhost:${appPort}`)),
  }
}

/**
 * Makes those who work at the admin's side, and a program that does; anew at each start, too.
 * @returns the program's secret
 */
export async function registerStaff(rooms: Rooms, password: string): Promise<string> {
  for (const { username, role, phone } of STAFF) {
    const id = await makePerson(rooms, username, password, role)
    await rooms.phones.add(id, parsed(phone), true)
  }
  await rooms.clients.remove(ADMIN_CLIENT_ID)
  const { secret = '' } = await rooms.clients.create({
    id: ADMIN_CLIENT_ID,
    name: 'Example program',
    grants: ['client_credentials'],
    scope: ['admin:read'],
  })
  return secret
}

/** Two phones and backup codes. @returns the codes */
async function makeAlex(rooms: Rooms, password: string): Promise<string[]> {
  const { phones, phoneChanges, backupCodes } = rooms
  const id = await makePerson(rooms, 'alex', password)
  await phones.add(id, parsed(PHONE), true)
  const work = await phones.add(id, parsed(WORK_PHONE), true)
  await phoneChanges.label(id, work.id, 'Work phone')
  // As at a first enrolment, so that the phone doesn't begin with a notice of it.
  return backupCodes.issue(id, { enrolling: true })
}

/** @returns the id of the account */
async function makePerson(
  { accounts, throttle, fingerprint }: Rooms,
  username: string,
  password: string,
  role?: Role,
): Promise<string> {
  // Someone may have tried wrong passwords on purpose; a new start forgives them.
  await throttle.clear(fingerprint('name', usernameKey(username)))
  const before = await accounts.findByUsername(username)
  if (before) await accounts.remove(before.id)
  const name = `${username.charAt(0).toUpperCase()}${username.slice(1)} Sample`
  const email = `${username}@example.com`
  const { id } = await accounts.create({ username, password, name, email, role })
  return id
}

async function registerClients({ clients }: Rooms, app: string) {
  // Anew each time, as the port may have changed; so their secrets are kept nowhere.
  await clients.remove(CLIENT_ID)
  await clients.remove(API_ID)
  const { secret: clientSecret = '' } = await clients.create({
    id: CLIENT_ID,
    name: 'Example app',
    redirectUris: [`${app}/callback`],
    postLogoutRedirectUris: [`${app}/signed-out`],
    firstParty: true,
  })
  const { secret: apiSecret = '' } = await clients.create({
    id: API_ID,
    name: 'Example API',
    grants: ['client_credentials'],
    introspects: [CLIENT_ID],
  })
  return { clientSecret, apiSecret }
}

/** @throws Error when it is none that can be texted */
export function parsed(number: string): ParsedPhone {
  const phone = parsePhoneNumber(number, '*')
  if ('fault' in phone) throw new Error(`the sample phone number ${number} is ${phone.fault}`)
  return phone
}

/** Random, and the same at each start over one data directory, without being stored. */
function samplePassword({ cookieKeys }: CompleteSecrets): string {
  const digest = createHmac('sha256', cookieKeys[0] ?? '')
    .update('demo password')
    .digest()
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789'
  const text = [...digest.subarray(0, 16)].map((byte) => letters[byte % letters.length]).join('')
  return text.replace(/(.{4})(?=.)/g, '$1-')
}
