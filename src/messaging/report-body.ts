import { hasForbiddenKey } from '../json-keys.ts'

/** What a report's JSON says, or undefined where it is none, or has a key that could reach into other objects. */
export function jsonOf(text: string | Buffer): unknown {
  try {
    const parsed: unknown = JSON.parse(text.toString('utf8'))
    return hasForbiddenKey(parsed) ? undefined : parsed
  } catch {
    return undefined
  }
}
