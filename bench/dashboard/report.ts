import type { DashboardFigures } from './dashboard.ts'

/** A table in Markdown. */
export function reportDashboard({ messages, days, fillSeconds, allAnew, took }: DashboardFigures) {
  const width = Math.max(...took.map(({ what }) => what.length))
  const row = (what: string, median: string, longest: string) =>
    `| ${what.padEnd(width)} | ${median.padStart(9)} | ${longest.padStart(9)} |`
  return [
    `dashboard: ${messages} messages of ${days} days, filled in ${fillSeconds} s`,
    `all figures anew: ${allAnew.seconds} s in ${allAnew.statements} statements, the longest ${allAnew.longestMs} ms`,
    '',
    row('what', 'median ms', 'longest'),
    `| ${'-'.repeat(width)} | --------: | --------: |`,
    ...took.map(({ what, median, longest }) => row(what, median.toFixed(1), longest.toFixed(1))),
    '',
  ].join('\n')
}
