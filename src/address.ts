import type { IncomingMessage } from 'node:http'
import { isIP, isIPv6 } from 'node:net'

/**
 * The client's address, as far as it can be trusted: the socket's, or, behind `trustedProxies` proxies, the
 * entry that the outermost of them added to X-Forwarded-For. Everything further left was written by the client.
 */
export function clientAddress(request: IncomingMessage, trustedProxies: number): string {
  const socket = plain(request.socket.remoteAddress ?? '')
  if (trustedProxies === 0) return socket
  const header = request.headers['x-forwarded-for']
  const entries = (Array.isArray(header) ? header.join(',') : (header ?? ''))
    .split(',')
    .map((entry) => plain(entry.trim()))
  const entry = entries.at(-trustedProxies)
  return entry && isIP(entry) ? entry : socket
}

/**
 * What limits count an address under: IPv4 whole, IPv6 by its /64, which one household has to itself (THR-08).
 * @param prefix of IPv6; many lines come with 256 of /64, and whoever asks gets a /48
 */
export function addressKey(address: string, prefix: 48 | 64 = 64): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? []
  const left = head.split(':').filter(Boolean)
  const right = tail === undefined ? [] : tail.split(':').filter(Boolean)
  const groups = [
    ...left,
    ...Array(Math.max(0, 8 - left.length - right.length)).fill('0'),
    ...right,
  ]
  return `${groups
    .slice(0, prefix / 16)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/${prefix}`
}

/** An address without what may stand around it: brackets, a port, an IPv6 socket's wrapping of IPv4. */
function plain(address: string): string {
  return address
    .replace(/^\[(.*)\](:\d+)?$/, '$1')
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/^::ffff:(?=\d+\.)/i, '')
}
