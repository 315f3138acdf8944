/** What an instance asks its database from time to time, whether or not anybody signs in. */
export const BACKGROUND =
  /^\s*(update notice set\s+tries|update message set watch_at|select (kid )?from signing_key|update roll_up|update (alert|logout)_delivery|update import_job set runner|with given_up as|with (turn|seen) as materialized|with (noted|found|due) as|select kind, count|select \$1::text as queue|with ready as \(select distinct country|select coalesce\(\(\s+select \(select sum)/
