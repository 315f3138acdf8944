import { parse } from 'bowser'

/** Real ones are shorter, and a long one only costs time. */
const LONGEST_READ = 512
/** What bowser finds may be the visitor's own words. */
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9 .+-]{0,29}$/

/** Most visitors' browsers are among so many, and reading what one says takes a while. */
const REMEMBERED = 500
const names = new Map<string, string>()

/** What a browser says it is, as in "Firefox on Windows": good enough to tell one's own browsers apart in a list. */
export function browserName(userAgent: string): string {
  const read = userAgent.slice(0, LONGEST_READ)
  if (read === '') return UNKNOWN
  const known = names.get(read)
  if (known) return known
  const name = nameIn(read)
  const [oldest] = names.keys()
  if (oldest !== undefined && names.size >= REMEMBERED) names.delete(oldest)
  names.set(read, name)
  return name
}

function nameIn(read: string): string {
  const { browser, os } = parse(read)
  if (!isPlain(browser.name)) return UNKNOWN
  return isPlain(os.name) ? `${browser.name} on ${os.name}` : browser.name
}

const UNKNOWN = 'Unknown browser'

function isPlain(name: string | undefined): name is string {
  return name !== undefined && PLAIN_NAME.test(name)
}
