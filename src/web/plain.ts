import { Refusal } from '../errors.ts'

/** A text that the database can hold and every reader reads alike: no NUL, no half of a character. */
export function isPlain(value: unknown): boolean {
  return typeof value !== 'string' || (value.isWellFormed() && !value.includes('\0'))
}

/** @throws Refusal unless every text among the members of these, or in a list of theirs, is plain */
export function assertPlain(...given: readonly unknown[]): void {
  for (const one of given) {
    const values = typeof one === 'object' && one !== null ? Object.values(one).flat() : []
    if (values.every(isPlain)) continue
    throw new Refusal('not_text', 400, 'A text has a NUL, or half of a character.')
  }
}
