import { type RawBuilder, sql } from 'kysely'

/** Beyond so many unanswered sends the account waits this long for the next, then twice as long each time. */
const FIRST_SECONDS = 60
/** Longer waits would let a stranger who knows the password keep the owner out with them. */
const LONGEST_SECONDS = 3600

/**
 * How long after its last send a challenge may be sent again: once, twice, four times the configured time.
 * @param sends expression of the sends so far
 */
export function resendWait(resendSeconds: number, sends: RawBuilder<number>): RawBuilder<number> {
  return sql`(${resendSeconds}::int * power(2, least(greatest(${sends} - 1, 0), 10)))`
}

/**
 * From when on second factor `s` takes another send, if codes were sent to it again and again and none was
 * typed; null while there were few.
 */
export function nextSendAt(unanswered: number): RawBuilder<Date | null> {
  const doublings = sql`least(s.sends_since_success - ${unanswered}::int, 20)`
  return sql`case when s.sends_since_success >= ${unanswered} then s.last_send_at + make_interval(secs =>
    least(${FIRST_SECONDS} * power(2, ${doublings}), ${LONGEST_SECONDS})) end`
}

/** What a right code sets on `second_factor`: nothing sent is unanswered any more. */
export const ANSWERED = sql`sends_since_success = 0, starts_since_success = 0`

/** Starts in a row, with the right password and without a right code, after which the owner is told (THR-23). */
export const SUSPICIOUS_STARTS = 5
