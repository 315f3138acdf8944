import { parse } from 'node-html-parser'
import { encode } from 'uqr'
import { describe, expect, test } from 'vitest'
import { qrCode } from '../../src/web/qr.ts'

const URI =
  'otpauth://totp/Example:anna?issuer=Example&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30'

/** The modules a path draws, row by row. */
function drawn(path: string, size: number): boolean[][] {
  const rows = Array.from({ length: size }, () => Array<boolean>(size).fill(false))
  for (const [, x, y, run, back] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-(\d+)z/g)) {
    expect(back).toBe(run)
    rows[Number(y)]?.fill(true, Number(x), Number(x) + Number(run))
  }
  return rows
}

describe('a QR code', () => {
  const svg = parse(qrCode(URI, 'Key of "Example" <&>')).querySelector('svg')
  const path = svg?.querySelector('path')?.getAttribute('d') ?? ''

  test('draws every module, and nothing else', () => {
    const { data, size } = encode(URI, { ecc: 'M', border: 4 })
    expect(path.replace(/M\d+ \d+h\d+v1h-\d+z/g, '')).toBe('')
    expect(drawn(path, size)).toEqual(data)
    expect(svg?.getAttribute('viewBox')).toBe(`0 0 ${size} ${size}`)
  })

  test('is dark on a white tile with a quiet zone of four modules around', () => {
    const size = Number(svg?.getAttribute('viewBox')?.split(' ')[3])
    const rows = drawn(path, size)
    const edge = [0, 1, 2, 3, size - 4, size - 3, size - 2, size - 1]
    for (const at of edge) {
      expect(rows[at]).not.toContain(true)
      expect(rows.some((row) => row[at])).toBe(false)
    }
    expect(rows[4]?.slice(4, 11)).toEqual(Array(7).fill(true))
    const tile = svg?.querySelector('rect')
    expect([tile?.getAttribute('width'), tile?.getAttribute('fill')]).toEqual([`${size}`, '#fff'])
    expect(svg?.querySelector('path')?.getAttribute('fill')).toBe('#000')
  })

  test('has words for those who can’t see it, escaped, and no inline style (WEB-05)', () => {
    expect(svg?.getAttribute('role')).toBe('img')
    expect(svg?.getAttribute('aria-label')).toBe('Key of "Example" <&>')
    expect(svg?.toString()).not.toMatch(/style|<script|<&>/)
  })

  test('holds the longest key that a name and a brand can make', () => {
    const long = `otpauth://totp/${'%F0%9F%98%80'.repeat(40)}:${'%F0%9F%98%80'.repeat(40)}?issuer=${'%F0%9F%98%80'.repeat(40)}&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30`
    expect(qrCode(long, 'x')).toContain('<path')
  })
})
