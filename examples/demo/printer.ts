import type { WriteStream } from 'node:tty'

export type Printer = ReturnType<typeof createPrinter>

/** Fits the terminals that are narrow. */
const COLUMNS = 80

/** Prints for a person: in colour on a terminal that wants it (see no-color.org), plain elsewhere. */
export function createPrinter(out: WriteStream | NodeJS.WriteStream) {
  const colours = out.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
  const paint = (code: number) => (text: string) =>
    colours ? `\u001b[${code}m${text}\u001b[0m` : text
  const bold = paint(1)
  const dim = paint(2)
  const cyan = paint(36)
  const line = (text = '') => void out.write(`${text}\n`)

  return {
    title: (text: string) => line(`\n  ${bold(text)}\n`),
    gap: () => line(),
    note: (text: string) => line(`  ${text}`),
    step: (number: number, text: string) => line(`  ${cyan(String(number))}  ${text}`),
    detail: (text: string) => line(dim(`       ${text}`)),
    /** what the simulated phone shows */
    message: (text: string) => {
      for (const part of text.split('\n'))
        for (const row of filled(part.split(' '), COLUMNS - 7)) line(`     ${dim('│')} ${row}`)
    },
    /** the members of an object, as many on a line as fit */
    json: (value: object) => {
      const members = Object.entries(value).map(
        ([name, one]) => `"${name}": ${JSON.stringify(one)}`,
      )
      const rows = filled(
        members.map((member, index) => (index < members.length - 1 ? `${member},` : member)),
        COLUMNS - 9,
      )
      line(`     { ${rows.join('\n       ')} }`)
    },
    table: (rows: readonly (readonly [string, string])[]) => {
      for (const [name, value] of rows) line(`  ${dim(name.padEnd(10))} ${value}`)
      line()
    },
    /** one thing to try: what it is, and what to do */
    stop: (name: string, text: string) => {
      for (const [index, row] of filled(text.split(' '), COLUMNS - 21).entries())
        line(`  ${index === 0 ? cyan(name.padEnd(18)) : ' '.repeat(18)} ${row}`)
    },
  }
}

/** Puts words on lines of so many columns. */
function filled(words: readonly string[], columns: number): string[] {
  const rows: string[] = []
  for (const word of words) {
    const last = rows.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= columns)
      rows[rows.length - 1] = `${last} ${word}`
    else rows.push(word)
  }
  return rows
}
