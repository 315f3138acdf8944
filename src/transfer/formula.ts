/**
 * What a spreadsheet would take for a formula when it opens a file (ADM-13): those that begin with one of these,
 * the wide forms of East Asian keyboards included.
 */
const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/u

/** A cell that stays text in a spreadsheet: an apostrophe is put before what would be worked out. */
function escapeFormula(cell: string): string {
  return FORMULA.test(cell) ? `'${cell}` : cell
}

/** Takes off exactly what `escapeFormula` puts on. */
export function unescapeFormula(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell) ? cell.slice(1) : cell
}

/** A cell of CSV that stays text in a spreadsheet. */
export function csvCell(text: string): string {
  const safe = escapeFormula(text)
  return /[",;\t\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
