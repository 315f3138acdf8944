import { InvalidArgumentError } from 'commander'

/** Reads an option that takes a whole number from `least` to `most`. @returns what commander has it read by */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text)
    if (/^(0|[1-9]\d{0,14})$/.test(text) && number >= least && number <= most) return number
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}
