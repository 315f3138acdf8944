import ipaddr, { type IPv4, type IPv6 } from 'ipaddr.js'

/** Addresses of the Internet (RFC 4291 section 2.4); all others are local, special or not given out yet. */
const GLOBAL: [IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3]
/** Holds an IPv4 address, which a translator of the network leads to (RFC 6052). */
const TRANSLATED: [IPv6, number] = [ipaddr.IPv6.parse('64:ff9b::'), 96]
/** Looks public, and is the host of the virtual machine on Azure. */
const WIRE_SERVER = '168.63.129.16'

/** Whether an address leads out into the Internet: to no machine, network or cloud of our own. */
export function isPublicAddress(text: string): boolean {
  const address = parse(text)
  if (address instanceof ipaddr.IPv4)
    return address.range() === 'unicast' && address.toString() !== WIRE_SERVER
  return address !== null && address.range() === 'unicast' && address.match(GLOBAL)
}

function parse(text: string): IPv4 | IPv6 | null {
  try {
    // Takes an IPv4 address out of its IPv6 form (`::ffff:…`).
    const address = ipaddr.process(text)
    const translated = address instanceof ipaddr.IPv6 && address.match(TRANSLATED)
    return translated ? new ipaddr.IPv4(address.toByteArray().slice(-4)) : address
  } catch {
    return null
  }
}
