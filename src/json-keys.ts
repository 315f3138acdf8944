/** Keys of JSON by which a parsed object could reach into every other (SECURITY.md, input 105). */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set([
  '__proto__',
  'constructor',
  'prototype',
])

/** Whether what JSON was parsed to has such a key, however deep. */
export function hasForbiddenKey(parsed: unknown): boolean {
  // Not by recursion: it may be nested deeper than the stack goes.
  const left: unknown[] = [parsed]
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value !== 'object' || value === null) continue
    for (const [key, member] of Object.entries(value)) {
      if (FORBIDDEN_KEYS.has(key)) return true
      left.push(member)
    }
  }
  return false
}
