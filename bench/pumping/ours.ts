import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { readConfig } from '../../src/config/config.ts'
import type { Db } from '../../src/db/schema.ts'
import {
  type ChallengeRules,
  newestOf,
  type Seat,
} from '../../src/second-factor/challenge-parts.ts'
import { createChallengeStatements } from '../../src/second-factor/challenge-statements.ts'
import { createGuessStatements } from '../../src/second-factor/guess-statements.ts'
import { createSendGrants } from '../../src/second-factor/send-grants.ts'
import { createSendStatements } from '../../src/second-factor/send-statements.ts'
import { movedClock } from '../../test/support/clock.ts'
import { bestDayOf, COUNTRIES } from './countries.ts'
import type { Defence } from './defence.ts'
import type { Person, SignIn } from './traffic.ts'

export const OURS = 'Sallyport'

const language = 'en'
const BEGINNING = '2030-01-02 12:00:00+00'

/** Defaults, as they are when nothing is configured. */
export const { config: defaults } = readConfig({})
const rules: ChallengeRules = {
  ...defaults.otp,
  holdOffSeconds: defaults.holdOffSeconds,
  allowedCountries: defaults.sms.allowedCountries,
  sharing: defaults.phoneSharing,
}

/**
 * The statements that the server runs when a code is asked for, asked for again and typed, with default rules,
 * on a database with the accounts of all sign-ins and a clock that stands where the traffic is.
 *
 * @param db migrated, and with no accounts in it
 */
export async function createOurs(db: Db, traffic: readonly SignIn[]): Promise<Defence> {
  await insertDays(db)
  await insert(db, new Map(traffic.map(({ person }) => [person.account, person])))
  let now = 0
  const clock = movedClock(() => now, sql`${BEGINNING}::timestamptz`)
  const grants = createSendGrants(clock, defaults.sms.limits)
  const challenges = createChallengeStatements(clock, rules, grants)
  const sends = createSendStatements(clock, rules, grants)
  const guesses = createGuessStatements(clock, rules, grants.countPass)

  async function send(seat: Seat, phoneId: string | null, addressKey: Buffer): Promise<boolean> {
    const order = { phoneId, channel: 'sms' as const, language, addressKey }
    return isSent((await sends.send(newestOf(seat), order).execute(db)).rows)
  }

  return {
    name: OURS,

    async start({ id, person: { account, known }, knownBrowser }, attempt, at, address) {
      now = at
      const seat = seatOf(id, attempt)
      const challenge = `${id}-${attempt}`
      const addressKey = fingerprint(address)
      if (known) {
        const lifeSeconds = rules.ttlSeconds
        const order = { ...seat, id: challenge, accountId: account, addressKey, language }
        const { rows } = await challenges.issue(db, { ...order, knownBrowser, lifeSeconds })
        return isSent(rows)
      }
      const order = { purpose: 'enrolment', knownBrowser } as const
      await challenges.open(seat, challenge, account, order, rules.ttlSeconds).execute(db)
      return send(seat, account, addressKey)
    },

    async again({ id }, attempt, at, address) {
      now = at
      return send(seatOf(id, attempt), null, fingerprint(address))
    },

    async typed({ id }, attempt, at) {
      now = at
      const { rows } = await guesses.guess(db, seatOf(id, attempt))
      const [guess] = rows
      const passed =
        guess?.counted &&
        (await guesses.pass(guess, { factor: 'sms', statement: sql`select` }).execute(db)).rows[0]
      if (!passed) throw new Error('a code that was sent and typed in time did not pass')
    },
  }
}

/** Of a statement that may send: whether it did. */
const isSent = ([verdict]: ReadonlyArray<{ id: string | null }>) => (verdict?.id ?? null) !== null

const seatOf = (id: number, attempt: number): Seat => ({
  interaction: fingerprint(`interaction ${id} ${attempt}`),
  browser: fingerprint(`browser ${id}`),
})

/** Nothing here needs to be kept secret, so that a plain hash does. */
const fingerprint = (value: string) => createHash('sha256').update(value).digest()

/** Of the best of the days before, which were all like these. */
async function insertDays(db: Db): Promise<void> {
  await sql`
    insert into send_day (country, day, passes)
    select country, floor(extract(epoch from ${BEGINNING}::timestamptz) / 86400) - 1, passes
    from unnest(${COUNTRIES.map(({ code }) => code)}::text[], ${COUNTRIES.map(bestDayOf)}::int[]) as c (country, passes)`.execute(
    db,
  )
}

/** Numbers are not sealed: nothing is sent to them. */
async function insert(db: Db, people: ReadonlyMap<string, Person>): Promise<void> {
  const all = [...people.values()]
  const ids = all.map(({ account }) => account)
  await sql`
    insert into account (id, username, username_key) select id, id, id from unnest(${ids}::text[]) as id`.execute(
    db,
  )
  await sql`insert into second_factor (account_id) select unnest(${ids}::text[])`.execute(db)
  await sql`
    insert into phone (id, account_id, number, number_fingerprint, prefix_fingerprint, country, is_primary, pending,
      verified_at)
    select p.id, p.id, '', p.number, p.block, p.country, p.known, not p.known,
      case when p.known then ${BEGINNING}::timestamptz - interval '30 days' end
    from unnest(${ids}::text[], ${all.map(({ number }) => fingerprint(number))}::bytea[],
      ${all.map(({ block }) => fingerprint(block))}::bytea[], ${all.map(({ country }) => country)}::text[],
      ${all.map(({ known }) => known)}::bool[]) as p (id, number, block, country, known)`.execute(
    db,
  )
}
