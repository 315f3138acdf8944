import { OURS } from './ours.ts'
import type { Result } from './pumping.ts'
import type { Figures } from './replay.ts'

const HEADINGS = ['defence', 'texts to the attacker', 'money lost', 'refused', 'of them known']

/** A table for each attack, in Markdown, and where we come off worse than others. */
export function report(results: readonly Result[]): string {
  return results
    .map(({ attack, what, defences }) => {
      const honest = Object.values(defences)[0]?.honest ?? 0
      const rows = Object.entries(defences).map(([name, figures]) => rowOf(name, figures))
      return `${attack}: ${what}; ${honest} honest sign-ins\n\n${table([HEADINGS, ...rows])}\n\n${shortcomings(defences)}\n`
    })
    .join('\n')
}

function shortcomings(defences: Record<string, Figures>): string {
  const ours = defences[OURS]
  if (!ours) throw new Error('our own defence has no figures')
  const than = (worse: (other: Figures) => boolean) =>
    Object.keys(defences).filter((name) => worse(defences[name] ?? ours))
  const dearer = than(({ lost }) => ours.lost > lost + 0.005)
  const stricter = than(({ refused }) => ours.refused > refused)
  return [
    `${OURS} loses more money than: ${dearer.join('; ') || 'none'}`,
    `${OURS} refuses more people than: ${stricter.join('; ') || 'none'}`,
  ].join('\n')
}

function rowOf(name: string, { pumped, lost, refused, refusedKnown }: Figures): string[] {
  return [name, String(pumped), `€ ${lost.toFixed(2)}`, String(refused), String(refusedKnown)]
}

function table(rows: readonly string[][]): string {
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`
  const [headings = [], ...others] = rows
  return [line(headings), rule, ...others.map(line)].join('\n')
}
