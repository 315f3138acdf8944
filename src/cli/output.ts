import type { Command } from 'commander'

/** What a command has to say. */
export interface Outcome {
  /** the one value that `--json` prints */
  json: unknown
  /** the same for a person */
  text: string
  /** a remark for standard error, in either mode */
  note?: string
  /** true when the answer itself is a "no": the exit code is 1 then */
  refused?: boolean
}

/** Takes a command's arguments and then its options, as the command declares them; Commander's types don't tell. */
type Work = (...args: Parameters<Parameters<Command['action']>[0]>) => Promise<Outcome>

/**
 * Makes a command do its work and print the outcome; adds what every command has: `--json` and an example.
 * @param example the command line after the program's name
 */
export function perform(command: Command, example: string, work: Work): void {
  command
    .option('--json', 'print one JSON value and nothing else')
    .addHelpText('after', `\nExample:\n  npm run cli -- ${example}`)
    .action(async (...args) => print(await work(...args), command.opts().json === true))
}

function print({ json, text, note, refused }: Outcome, asJson: boolean): void {
  process.stdout.write(`${asJson ? JSON.stringify(json) : text}\n`)
  if (note) process.stderr.write(`${note}\n`)
  if (refused) process.exitCode = 1
}

/** Rows under headings, each column as wide as its widest cell. */
export function table(headings: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const cells = [headings, ...rows].map((row) => row.map(printable))
  const widths = headings.map((_, column) =>
    Math.max(...cells.map((row) => lengthOf(row[column] ?? ''))),
  )
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** One name and value a line, the values aligned. */
export function record(fields: ReadonlyArray<readonly [name: string, value: string]>): string {
  const width = Math.max(...fields.map(([name]) => name.length))
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`).join('\n')
}

export function yesOrNo(value: boolean): string {
  return value ? 'yes' : 'no'
}

/** Stored names are people's own input: a control character among them must not steer the terminal. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '\uFFFD')
}

function lengthOf(text: string): number {
  return [...text].length
}
