import { type RawBuilder, sql } from 'kysely'
import { auditEntries, auditEntry, eventRows } from '../audit/event.ts'
import type { Clock } from '../db/clock.ts'
import { retrying } from '../db/faults.ts'
import { gatheredWrites } from '../db/gathered-writes.ts'
import { type PlaceOf, prepared, unwaiting } from '../db/prepared.ts'
import type { Db } from '../db/schema.ts'
import type { AccountRow } from './account.ts'
import type { Throttle } from './throttle.ts'

/** `locked`: its codes are not taken just now. `none`: there is nothing that the account could be asked for. */
export type SecondFactorState = 'locked' | 'some' | 'none'

/** A try of a name. */
interface Try {
  /** fingerprint of the name, and of the browser if it is known */
  key: Buffer
  /** fingerprint of the name alone */
  nameKey: Buffer
  name: string
}

/** A try that was right. */
interface Success {
  key: Buffer
  /** of the account */
  id: string
}

/** The row of a look-up: how the try stands, and the account, all of it null if there is none of that name. */
export type Found = {
  password_hash: string | null
  /** in a row with this try; null when the name is locked, and the try isn't judged */
  failures: number | null
  pending: boolean
  second_factor: SecondFactorState
  /** of the pages at the last sign-in */
  language: string | null
} & (AccountRow | Record<keyof AccountRow, null>)

interface Dependencies {
  db: Db
  clock: Clock
  throttle: Throttle
  /** in SQL, how it stands with an account's second factor */
  secondFactorOf(accountId: RawBuilder<string>): RawBuilder<SecondFactorState>
}

/** The statements of the login page: one counts a try and looks the account up, one ends a try that was right. */
export function createTries({ db, clock, throttle, secondFactorOf }: Dependencies) {
  const noted = (accountId: RawBuilder<string>) => auditEntry(clock, { ...RIGHT, accountId })

  /** Of whoever is found: for nobody the second factor is looked for like for anybody (ENU-02). */
  const found = (failures: RawBuilder<unknown>, key: RawBuilder<Buffer>) => sql`
    ${failures} as failures, ${throttle.isPending(key)} as pending,
    ${secondFactorOf(sql`coalesce(account.id, '')`)} as second_factor, account.*`

  /** Always one row, whoever there is. */
  const countOne = unwaiting((place: PlaceOf<Try>, on, waits) =>
    sql<Found>`
      with ${throttle.countTry(place('key'), place('nameKey'), waits)}
      select ${found(sql`(select failures from counted)`, place('key'))}
      from (select) as one left join account on username_key = ${place('name')}`.compile(on),
  )

  const countMany = prepared<
    { keys: readonly Buffer[]; nameKeys: readonly Buffer[]; names: readonly string[] },
    Found & { place: number }
  >((place, on) =>
    sql<Found & { place: number }>`
      with asked as (
        select key, name_key, name, place::int from unnest(${place('keys')}::bytea[], ${place('nameKeys')}::bytea[],
          ${place('names')}::text[]) with ordinality as a (key, name_key, name, place)),
        ${throttle.countTries(sql`asked`)}
      select asked.place, ${found(sql`counted.failures`, sql`asked.key`)}
      from asked join held on held.place = asked.place left join counted on counted.key = asked.key
        left join lateral (select * from account where username_key = asked.name limit 1) as account on true`.compile(
      on,
    ),
  )

  /** Counts a try, unless its name is locked, and looks the account up. */
  const count = gatheredWrites<Try, Found>({
    named: 'insert into sign_in_attempt',
    keysOf: ({ key }) => [key],
    async alone(one) {
      const { rows } = await retrying(() => countOne(db, one))
      const [row] = rows
      if (!row) throw new Error('a look-up without a row')
      return row
    },
    async together(all) {
      const keys = all.map(({ value }) => value.key)
      const nameKeys = all.map(({ value }) => value.nameKey)
      const names = all.map(({ value }) => value.name)
      const { rows } = await countMany(db, { keys, nameKeys, names })
      return byOwner(all, rows)
    },
  })

  const succeedOne = unwaiting((place: PlaceOf<Success>, on, waits) =>
    sql<Seen>`
      with ${throttle.forgetTries(place('key'), waits)}, noted as (${noted(place('id'))})
      select ${secondFactorOf(place('id'))} as second_factor`.compile(on),
  )

  /** The same, and keeps the language of its pages if nobody else changes the account. */
  const succeedIn = unwaiting((place: PlaceOf<Success & { language: string }>, on, waits) =>
    sql<Seen>`
      with ${throttle.forgetTries(place('key'), waits)},
        free as (select from account where id = ${place('id')} for no key update skip locked),
        spoken as (update account set language = ${place('language')}::text
          where id = ${place('id')} and (select count(*) from free) = 1),
        noted as (${noted(place('id'))})
      select ${secondFactorOf(place('id'))} as second_factor`.compile(on),
  )

  const succeedMany = prepared<
    { keys: readonly Buffer[]; ids: readonly string[]; events: string },
    Seen & { place: number }
  >((place, on) =>
    sql<Seen & { place: number }>`
      with asked as (
        select key, null::bytea as name_key, id, place::int
        from unnest(${place('keys')}::bytea[], ${place('ids')}::text[]) with ordinality as a (key, id, place)),
        ${throttle.forgetTriesOf(sql`asked`, sql`cardinality(${place('keys')}::bytea[])`)},
        noted as (${auditEntries(clock, place('events'), sql`e.owner in (select place from held)`)})
      select asked.place, ${secondFactorOf(sql`asked.id`)} as second_factor
      from asked join held on held.place = asked.place`.compile(on),
  )

  const succeed = gatheredWrites<Success & { events: Events }, Seen | undefined>({
    named: 'delete from sign_in_attempt',
    keysOf: ({ key }) => [key],
    alone: async (one) => (await retrying(() => succeedOne(db, one))).rows[0],
    async together(all) {
      const keys = all.map(({ value }) => value.key)
      const ids = all.map(({ value }) => value.id)
      const events = all.flatMap(({ value }, index) =>
        value.events.map((event) => ({ ...event, owner: index + 1 })),
      )
      const { rows } = await succeedMany(db, { keys, ids, events: JSON.stringify(events) })
      return byOwner(all, rows)
    },
  })

  return {
    count,

    /**
     * Forgets the failures before a success, records it, and looks at the second factor once more.
     * @param language of its pages, where it is another than it was
     */
    async succeed(success: Success, language?: string): Promise<SecondFactorState | undefined> {
      const seen =
        language === undefined
          ? await succeed({ ...success, events: eventRows([{ ...RIGHT, accountId: success.id }]) })
          : (await succeedIn(db, { ...success, language })).rows[0]
      return seen?.second_factor
    },
  }
}

const RIGHT = { type: 'password.right' } as const

type Events = ReturnType<typeof eventRows>

type Seen = Pick<Found, 'second_factor'>

/** Rows tell their places in the lists that the statement was run with, from 1 on. */
function byOwner<Row extends { place: number }>(
  all: ReadonlyArray<{ owner: number }>,
  rows: readonly Row[],
): Map<number, Row> {
  return new Map(
    rows.map((row) => {
      const one = all[row.place - 1]
      if (!one) throw new Error('a row of nobody who asked')
      return [one.owner, row]
    }),
  )
}
