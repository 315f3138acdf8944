import { isIP } from 'node:net'
import { isPublicAddress } from './addresses.ts'

/** Names that by their very form lead to nowhere but inside. */
const INSIDE =
  /(^|\.)(localhost|localdomain|local|internal|intranet|lan|home|corp|private|home\.arpa)$/
const MOST_CHARACTERS = 2048

export interface Target {
  url: URL
  /** without the brackets of an IPv6 address */
  host: string
  /** the operator said that it may be inside, and without TLS */
  trusted: boolean
}

/**
 * Whether something may be sent to an address, as far as the address itself tells. A name may still lead inside:
 * that shows once it is resolved.
 *
 * @param trustedHosts names and addresses in the form that `URL` gives them
 * @returns what is wrong as the end of a sentence, or where it leads
 */
export function judgeTarget(
  text: string,
  trustedHosts: ReadonlySet<string>,
): Target | { problem: string } {
  // A URL is read without line breaks, and with \ for /: who looks at it should see what we see.
  if (text.length > MOST_CHARACTERS || /[\s\p{C}\\]/u.test(text))
    return { problem: `must be a URL of at most ${MOST_CHARACTERS} characters, without spaces` }
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) return { problem: 'must be an https: URL' }
  if (url.username || url.password || url.hash)
    return { problem: 'must have no user, password or fragment' }
  // However it was written, as in 0x7f.1 or 2130706433, an IPv4 address has its usual form here.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (trustedHosts.has(host)) return { url, host, trusted: true }
  if (url.protocol !== 'https:') return { problem: 'must be an https: URL' }
  const outside = isIP(host) ? isPublicAddress(host) : isPublicName(host)
  if (!outside) return { problem: 'must not lead inside: to this machine or a private network' }
  return { url, host, trusted: false }
}

/** A full stop at the end would hide what a name ends in. */
function isPublicName(host: string): boolean {
  return /[^.]\.[^.]+$/.test(host) && !INSIDE.test(host)
}
