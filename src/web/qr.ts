import { encode } from 'uqr'

/** Light modules around the code, without which cameras don't find it (ISO/IEC 18004). */
const QUIET_ZONE = 4

/**
 * A QR code as inline SVG: one path of dark modules on a white tile, in dark mode too, since many cameras can't
 * read it the other way round. Its colours are attributes, which a policy against inline styles leaves alone.
 *
 * @param title what it is, for those who can't see it
 */
export function qrCode(text: string, title: string): string {
  const { data, size } = encode(text, { ecc: 'M', border: QUIET_ZONE })
  const path = data.map(rowPath).join('')
  return [
    `<svg class="qr" viewBox="0 0 ${size} ${size}" role="img" aria-label="${escaped(title)}" shape-rendering="crispEdges">`,
    `<rect width="${size}" height="${size}" fill="#fff"/><path d="${path}" fill="#000"/></svg>`,
  ].join('')
}

/** One rectangle for each run of dark modules. */
function rowPath(row: readonly boolean[], y: number): string {
  const bits = row.map((dark) => (dark ? '1' : '0')).join('')
  return [...bits.matchAll(/1+/g)]
    .map(({ index, 0: run }) => `M${index} ${y}h${run.length}v1h-${run.length}z`)
    .join('')
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
