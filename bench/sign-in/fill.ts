import { hash } from '@node-rs/argon2'
import { sql } from 'kysely'
import { COST } from '../../src/accounts/passwords.ts'
import type { Db } from '../../src/db/schema.ts'
import { parsePhoneNumber } from '../../src/phone-number.ts'
import type { Rooms } from '../../src/rooms.ts'
import { PASSWORD, phoneOf, textedName, WITH_PHONE } from './people.ts'

/** One hash for all: each is checked in full whenever someone signs in. */
export const passwordHash = () => hash(PASSWORD, { ...COST, algorithm: 2 })

/** People as they are in Sallyport after somebody registered them one by one. */
export async function addTexted({ phones }: Rooms, db: Db, people: number): Promise<void> {
  const password_hash = await passwordHash()
  for (let number = 0; number < Math.min(people, WITH_PHONE); number++) {
    const username = textedName(number)
    const id = username.padEnd(22, '_')
    await db
      .insertInto('account')
      .values({ id, username, username_key: username, password_hash })
      .execute()
    const parsed = parsePhoneNumber(phoneOf(number), '*')
    if ('fault' in parsed) throw new Error(parsed.fault)
    await phones.add(id, parsed, true)
  }
}

/** Accounts without a phone from number `from` on, and for each of them one with a phone that is never used. */
export async function addPlain(db: Db, from: number, to: number): Promise<void> {
  const password_hash = await passwordHash()
  await sql`
    insert into account (id, username, username_key, email, name, password_hash)
    select substr(md5(name), 1, 22), name, name, name || '@example.com', 'Person ' || number, ${password_hash}
    from generate_series(${from}::int, ${to - 1}::int) as number,
      lateral (values ('person' || number), ('other' || number)) as names (name)`.execute(db)
  await sql`
    insert into phone (id, account_id, number, number_fingerprint, prefix_fingerprint, country, is_primary, verified_at,
      hotp_secret)
    select substr(md5('phone' || id), 1, 22), id, sha256(id::bytea), sha256(id::bytea),
      sha256(substr(id, 1, 4)::bytea), 'SE', true, now(), sha256(id::bytea)
    from account where username like 'other%' and substr(username, 6)::int >= ${from}`.execute(db)
  await sql`vacuum analyze account`.execute(db)
  await sql`vacuum analyze phone`.execute(db)
}

export async function addBarePeople(db: Db, people: number): Promise<void> {
  await sql`
    insert into person (id, username, password_hash)
    select substr(md5(name), 1, 22), name, ${await passwordHash()}
    from generate_series(0, ${people - 1}::int) as number,
      lateral (select 'person' || number as name) as named`.execute(db)
  await sql`vacuum analyze person`.execute(db)
}
