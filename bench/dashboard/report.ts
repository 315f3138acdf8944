import type { DashboardFigures } from './dashboard.ts'

/** A table in Markdown. */
export function reportDashboard({ messages, days, fillSeconds, dayAnew, took }: DashboardFigures) {
  const width = Math.max(...took.map(({ what }) => what.length))
  const row = (what: string, median: string, longest: string) =>
    `| ${what.padEnd(width)} | ${median.padStart(9)} | ${longest.padStart(9)} |`
  return [
    `dashboard: ${messages} messages of ${days} days, filled in ${fillSeconds} s`,
    `the figures of a day anew: ${dayAnew.seconds} s in ${dayAnew.statements} statements, the longest ${dayAnew.longestMs} ms`,
    '',
    row('what', 'median ms', 'longest'),
    `| ${'-'.repeat(width)} | --------: | --------: |`,
    ...took.map(({ what, median, longest }) => row(what, median.toFixed(1), longest.toFixed(1))),
    '',
  ].join('\n')
}
