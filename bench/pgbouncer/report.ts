import type { PgbouncerFigures } from './pgbouncer.ts'

export const NO_BOUNCER =
  'PgBouncer: there is none here. Install it, or name its program by PGBOUNCER, and run this again.'

export function pgbouncerReport(figures: PgbouncerFigures): string {
  const { version, runs, instances, connections, sessions } = figures
  if (version === null) return `${NO_BOUNCER}\n`
  const limits = figures.missingLimits.join(', ') || 'none'
  return [
    `PgBouncer ${version}, transaction mode: ${instances} instances with ${connections} connections each share ${sessions} sessions`,
    '',
    '|                   | sign-ins | errors | a second | p95 |',
    '| ----------------- | -------: | -----: | -------: | --: |',
    ...runs.map(
      ({ by, signIns, errors, perSecond, p95Ms }) =>
        `| ${by.padEnd(17)} | ${signIns} | ${errors.length} | ${perSecond.toFixed(1)} | ${Math.round(p95Ms)} ms |`,
    ),
    '',
    `${figures.migrated} migrations ran through it; advisory locks left behind: ${figures.locksLeft}; limits missing: ${limits}`,
    ...runs.flatMap(({ errors }) => errors.slice(0, 3)),
    '',
  ].join('\n')
}
