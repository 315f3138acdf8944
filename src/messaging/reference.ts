import { randomInt } from 'node:crypto'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** Letters and digits alone, since some gateways take nothing else; 22 of them hold 130 bits. */
export function newReference(): string {
  return Array.from({ length: 22 }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join('')
}
