/** Keys of JSON by which a parsed object could reach into every other (SECURITY.md, input 105). */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set([
  '__proto__',
  'constructor',
  'prototype',
])
