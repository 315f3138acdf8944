/** Red, green and blue, each 0 to 255. */
export type Rgb = readonly [number, number, number]

const STEPS = 100

export function parseHex(color: string): Rgb {
  if (!/^#[0-9a-f]{6}$/i.test(color)) throw new TypeError(`not a colour like #1f6f5c: ${color}`)
  const channel = (from: number) => Number.parseInt(color.slice(from, from + 2), 16)
  return [channel(1), channel(3), channel(5)]
}

export function hex(color: Rgb): string {
  return `#${color.map((channel) => Math.round(channel).toString(16).padStart(2, '0')).join('')}`
}

/** WCAG 2.2 contrast ratio, 1 to 21. */
export function contrast(one: Rgb, other: Rgb): number {
  const [a, b] = [luminance(one), luminance(other)]
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
}

/** @param share how much of `other` is in the result, 0 to 1 */
export function mix(color: Rgb, other: Rgb, share: number): Rgb {
  const blend = (a: number, b: number) => Math.round(a + (b - a) * share)
  return [blend(color[0], other[0]), blend(color[1], other[1]), blend(color[2], other[2])]
}

/** The nearest tone of the same hue, darker or lighter, that is good enough; black or white at last. */
export function shiftUntil(
  color: Rgb,
  direction: 'lighter' | 'darker',
  isEnough: (tone: Rgb) => boolean,
): Rgb {
  const end: Rgb = direction === 'lighter' ? [255, 255, 255] : [0, 0, 0]
  for (let step = 0; step < STEPS; step += 1) {
    const tone = mix(color, end, step / STEPS)
    if (isEnough(tone)) return tone
  }
  return end
}

function luminance([red, green, blue]: Rgb): number {
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

function linear(channel: number): number {
  const share = channel / 255
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
}
