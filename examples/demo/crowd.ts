import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { usernameKey } from '../../src/accounts/account.ts'
import type { Clock } from '../../src/db/clock.ts'
import type { Db } from '../../src/db/schema.ts'
import { type ParsedPhone, prefixOf } from '../../src/phone-number.ts'
import type { Rooms } from '../../src/rooms.ts'
import { parsed } from './sample.ts'

/** Made-up people, by where they live: first names and family names in the order of their countries. */
const NAMES: ReadonlyArray<readonly [first: string, last: string]> = [
  [
    'Astrid Nils Ebba Gustav Maja Åsa Olle Karin',
    'Lindqvist Bergström Åkesson Nyström Dahlberg Öhman Sjögren Ek',
  ],
  [
    'Freja Mads Signe Rasmus Søren Ida Kasper Lærke',
    'Mortensen Kjær Thomsen Holm Bjerregaard Skov Dam Østergaard',
  ],
  [
    'Ingrid Sindre Marit Håkon Solveig Jonas Tiril Øyvind',
    'Haugen Solberg Bakken Strand Moen Lien Nygård Tangen',
  ],
  [
    'Lena Jürgen Sabine Moritz Annika Emre Heike Tobias',
    'Schäfer Vogel Brandt Krüger Yıldız Lorenz Böhm Seidel',
  ],
  [
    'Imogen Callum Priya Rhys Aisha Graham Niamh Oliver',
    'Whitfield Okafor Hargreaves Patel Mackenzie Llewellyn Shaw Ashworth',
  ],
  [
    'Camille Bastien Élodie Mathis Inès Thierry Manon Youssef',
    'Lefèvre Marchand Benali Rousseau Chevalier Girard Noël Fontaine',
  ],
  [
    'Zofia Paweł Agnieszka Łukasz Hanka Wojciech Kinga Marek',
    'Wiśniewska Zając Kowalczyk Mazur Dąbek Sikora Górska Pawlak',
  ],
  [
    'Maya Tyrone Guadalupe Ethan Harriet Kenji Denise Walter',
    'Ramirez Whitaker Nguyen Delgado Freeman Kowalski Brooks Tanaka',
  ],
]
const PER_COUNTRY = 24

/** Ranges that authorities keep for films and books, so that none of these numbers is anybody's. */
const FICTIONAL = [
  { first: 46_701_740_611, count: 89 },
  { first: 491_713_920_000, count: 100 },
  { first: 12_025_550_100, count: 100 },
] as const

type State = 'usual' | 'disabled' | 'invited' | 'locked'

interface Person {
  id: string
  username: string
  name: string
  phone: ParsedPhone
  state: State
}

/** Everybody of the crowd, the same each time. */
function crowd(): Person[] {
  return NAMES.flatMap(([firsts, lasts], country) =>
    Array.from({ length: PER_COUNTRY }, (_, index) => {
      const first = firsts.split(' ')[index % 8] ?? ''
      const last = lasts.split(' ')[(3 * index + Math.floor(index / 8)) % 8] ?? ''
      const username = `${plain(first)}.${plain(last)}`
      return {
        id: createHash('sha256').update(`demo ${username}`).digest('base64url').slice(0, 22),
        username,
        name: `${first} ${last}`,
        phone: phoneOf(country * PER_COUNTRY + index),
        state: stateOf(country * PER_COUNTRY + index),
      }
    }),
  )
}

/** Ids of those who sign in every now and then. */
export function regulars(): string[] {
  return crowd().flatMap(({ id, state }) => (state === 'usual' ? [id] : []))
}

function phoneOf(index: number): ParsedPhone {
  const range = FICTIONAL[index % FICTIONAL.length] ?? FICTIONAL[0]
  return parsed(`+${range.first + Math.floor(index / FICTIONAL.length)}`)
}

function stateOf(index: number): State {
  if (index % 31 === 12) return 'disabled'
  if (index % 23 === 7) return 'invited'
  return index % 67 === 40 ? 'locked' : 'usual'
}

/** In letters that every keyboard has. */
function plain(name: string): string {
  const letters: Record<string, string> = { ø: 'o', æ: 'ae', å: 'aa', ł: 'l', ı: 'i' }
  return name
    .toLowerCase()
    .replace(/[øæåłı]/g, (letter) => letters[letter] ?? letter)
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
}

/**
 * Makes the crowd, once: a second start finds it. Written as rows at a stroke, as a database that was used for a
 * year would have them; each by its room would take longer than all the rest of the start.
 * @param like username of somebody whose password they have, too
 */
export async function fillHouse(db: Db, clock: Clock, { vault, fingerprint }: Rooms, like: string) {
  const people = crowd()
  const rows = people.map(({ id, username, name, phone, state }, index) => {
    const phoneId = randomBytes(16).toString('base64url')
    const sealed = vault.seal(phone.number, { column: 'phone.number', row: phoneId })
    return {
      id,
      username,
      key: usernameKey(username),
      name,
      email: `${username}@example.com`,
      state,
      days: 3 + ((index * 37) % 400),
      phone_id: phoneId,
      number: sealed.toString('hex'),
      whole: fingerprint('phone', phone.number).toString('hex'),
      prefix: fingerprint('phone-prefix', prefixOf(phone.number)).toString('hex'),
      country: phone.country,
    }
  })
  await sql`
    with person as materialized (
      select p.*, ${clock()} - make_interval(days => days) as since
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as p (id text, username text, key text, name text,
        email text, state text, days int, phone_id text, number text, whole text, prefix text, country text)
      where not exists (select from account a where a.id = p.id or a.username_key = p.key)
    ),
    made as (
      insert into account (id, username, username_key, name, email, email_verified, password_hash, disabled_at, created_at)
      select id, username, key, name, email, state <> 'invited',
        case when state <> 'invited' then (select password_hash from account where username_key = ${usernameKey(like)}) end,
        case when state = 'disabled' then ${clock()} - interval '5 days' end, since
      from person
    ),
    locked as (
      insert into second_factor (account_id, failures, disabled_at)
      select id, 20, ${clock()} - interval '9 hours' from person where state = 'locked'
    )
    insert into phone (id, account_id, number, number_fingerprint, prefix_fingerprint, country, is_primary, verified_at, created_at)
    select phone_id, id, decode(number, 'hex'), decode(whole, 'hex'), decode(prefix, 'hex'), country, true, since, since
    from person where state <> 'invited'`.execute(db)
}
