/** Entries an instance keeps in mind of what it could count or look up again. */
const REMEMBERED = 10_000

/** Puts an entry last, and drops the first one when there are too many. */
export function remember<T>(entries: Map<string, T>, name: string, value: T): void {
  entries.delete(name)
  const [oldest] = entries.keys()
  if (oldest !== undefined && entries.size >= REMEMBERED) entries.delete(oldest)
  entries.set(name, value)
}
