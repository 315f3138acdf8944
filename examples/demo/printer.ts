import type { WriteStream } from 'node:tty'

export type Printer = ReturnType<typeof createPrinter>

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
    section: (text: string) => line(`\n  ${bold(text)}\n`),
    note: (text: string) => line(`  ${text}`),
    step: (number: number, text: string) => line(`\n  ${cyan(String(number))}  ${text}`),
    detail: (text: string) => line(dim(`       ${text}`)),
    /** what the simulated phone shows */
    message: (text: string) => {
      for (const part of text.split('\n')) line(`     ${dim('│')} ${part}`)
    },
    json: (value: unknown) => {
      for (const part of JSON.stringify(value, null, 2).split('\n')) line(`  ${part}`)
      line()
    },
    table: (rows: readonly (readonly [string, string])[]) => {
      for (const [name, value] of rows) line(`  ${dim(name.padEnd(10))} ${value}`)
      line()
    },
  }
}
