import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/schema.ts'
import type { MessageState } from '../db/tables/messaging.ts'
import { type Billed, type CostClass, costClass, costOf, type Prices } from './costs.ts'
import { IS_BILLED } from './delivery-figures.ts'

export interface MessageFilters {
  state?: MessageState | undefined
  gateway?: string | undefined
  /** ISO 3166 code */
  country?: string | undefined
  channel?: 'sms' | 'voice' | undefined
  /** whose phone it went to; phones that were removed are nobody's any more */
  accountId?: string | undefined
  /** from then on */
  since?: Date | undefined
  /** before then */
  until?: Date | undefined
}

/** Where a page ends: what the next one is asked for after. */
export interface MessagePosition {
  /** as the database writes it: a Date would cut it to milliseconds, and messages between two pages would be lost */
  createdAt: string
  id: string
}

/** A message as it is shown: neither number nor text. Ready for JSON. */
export interface ListedMessage {
  id: string
  /** ISO 8601 */
  at: string
  channel: 'sms' | 'voice'
  gateway: string
  country: string | null
  state: MessageState
  failure: string | null
  /** the gateway's own code, or a few words of ours */
  detail: string | null
  parts: number
  /** at today's prices: none, below 0.02, below 0.08, or more */
  costClass: CostClass
  /** null where there is no price for it */
  cost: number | null
  accountId: string | null
  /** null for a notice */
  challengeId: string | null
  phoneId: string | null
  /** nobody asked for it: the one before was not delivered */
  unasked: boolean
}

export type FoundMessage = ListedMessage & { place: MessagePosition }

interface Row extends Omit<ListedMessage, 'at' | 'cost' | 'costClass'> {
  created_at: Date
  exactly: string
  isBilled: boolean
}

export type MessageList = ReturnType<typeof createMessageList>

/** Messages of the last 30 days, for those who run the service. */
export function createMessageList({ db, prices }: { db: Db; prices: Prices }) {
  return {
    /** Newest first. @param after the last message of the page before */
    async list(
      filters: MessageFilters,
      limit: number,
      after?: MessagePosition,
    ): Promise<FoundMessage[]> {
      const { rows } = await messageListStatement(filters, limit, after).execute(db)
      return rows.map((row) => listed(row, prices))
    },
  }
}

export function messageListStatement(
  { state, gateway, country, channel, accountId, since, until }: MessageFilters,
  limit: number,
  after?: MessagePosition,
): RawBuilder<Row> {
  const conditions = [
    state && sql`m.state = ${state}`,
    gateway && sql`m.gateway = ${gateway}`,
    country && sql`m.country = ${country}`,
    channel && sql`m.channel = ${channel}`,
    accountId && sql`m.phone_id = any(array(select id from phone where account_id = ${accountId}))`,
    since && sql`m.created_at >= ${since}`,
    until && sql`m.created_at < ${until}`,
    after && sql`(m.created_at, m.id) < (${after.createdAt}::timestamptz, ${after.id}::text)`,
  ].filter((condition) => condition)
  return sql<Row>`
    select m.id, m.created_at, m.created_at::text as exactly, m.channel, m.gateway, m.country, m.state, m.failure,
      coalesce(m.code, m.detail) as detail, m.parts, m.unasked,
      m.challenge_id as "challengeId", m.phone_id as "phoneId",
      (select p.account_id from phone p where p.id = m.phone_id) as "accountId",
      ${IS_BILLED} as "isBilled"
    from message m
    where ${sql.join([sql`true`, ...conditions], sql` and `)}
    order by m.created_at desc, m.id desc
    limit ${limit}`
}

function listed(
  { created_at, exactly: createdAt, isBilled, ...message }: Row,
  prices: Prices,
): FoundMessage {
  const billed: Billed = {
    ...message,
    billed: isBilled ? 1 : 0,
    parts: isBilled ? message.parts : 0,
  }
  const cost = costOf(prices, [billed])
  return {
    ...message,
    at: created_at.toISOString(),
    cost: cost.cost,
    costClass: costClass(billed, cost),
    place: { createdAt, id: message.id },
  }
}
