import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { Queue } from '../service-metrics.ts'

/** Whatever fell behind is seen long before this; nobody needs the exact number then. */
const MOST_COUNTED = 10_000

/** What is due in the background over all instances, by the indexes that find it for those who do it. */
export function createBacklog({ db, clock }: { db: Db; clock: Clock }) {
  const waiting = (queue: string, due: RawBuilder<unknown>) => sql`
    select ${queue}::text as queue, count(*)::integer as due,
      greatest(0, coalesce(extract(epoch from ${clock()} - min(at)), 0))::float8 as "overdueSeconds"
    from (${due} limit ${MOST_COUNTED}) as due`

  return async (): Promise<Queue[]> => {
    const now = clock()
    const { rows } = await sql<Queue>`
      ${waiting(
        'notices',
        sql`select next_try_at as at from notice where state = 'waiting' and next_try_at <= ${now}
          order by next_try_at`,
      )}
      union all ${waiting(
        'alerts',
        sql`select next_try_at as at from alert_delivery where state = 'waiting' and next_try_at <= ${now}
          order by next_try_at`,
      )}
      union all ${waiting(
        'messages',
        sql`select watch_at as at from message where watch_at <= ${now} order by watch_at`,
      )}
      union all ${waiting(
        'logouts',
        sql`select next_try_at as at from logout_delivery where next_try_at <= ${now} order by next_try_at`,
      )}
      union all ${waiting(
        'imports',
        sql`select created_at as at from import_job
          where source = 'upload' and state in ('waiting', 'running') order by created_at`,
      )}`.execute(db)
    return rows
  }
}
