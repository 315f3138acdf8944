import { contrast, hex, mix, parseHex, type Rgb, shiftUntil } from './colors.ts'

export interface Brand {
  name: string
  /** `#rrggbb` */
  color: string
  /** Stands in place of our mark and the brand's name, so it should carry the name. */
  logo: { body: Buffer; type: string } | null
}

export interface Asset {
  body: Buffer
  type: string
}

/**
 * The surfaces text stands on, and how far a link must differ from them. They live here, not in the
 * style sheet, because contrast is computed on them. WCAG AA asks for 4.5 (1.4.3); on dark, where
 * small coloured text tires the eye, we ask for more.
 */
const LIGHT = { page: parseHex('#f4f3ef'), card: parseHex('#ffffff'), linkContrast: 4.6 }
const DARK = { page: parseHex('#0e1110'), card: parseHex('#171b19'), linkContrast: 7 }
const WHITE = parseHex('#ffffff')
const INK = parseHex('#000000')

const LABEL_CONTRAST = 4.5
/** WCAG 1.4.11, for what has to be seen but not read. */
const EDGE_CONTRAST = 3

const LOGO_EXTENSIONS: Record<string, string> = {
  'image/svg+xml': 'svg',
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/webp': 'webp',
  'image/gif': 'gif',
}

/** Everything a page shows of a brand, as assets: its colours, our mark in them, and its logo. */
export function brandAssets(brand: Brand): { files: Map<string, Asset>; logo: string | null } {
  const color = parseHex(brand.color)
  const files = new Map<string, Asset>([
    ['brand.css', { body: Buffer.from(brandCss(color)), type: 'text/css; charset=utf-8' }],
    ['favicon.svg', { body: Buffer.from(favicon(color)), type: 'image/svg+xml' }],
  ])
  if (!brand.logo) return { files, logo: null }

  const extension = LOGO_EXTENSIONS[brand.logo.type]
  if (!extension) throw new TypeError(`a logo can't be of type ${brand.logo.type}`)
  files.set(`logo.${extension}`, brand.logo)
  return { files, logo: `logo.${extension}` }
}

function brandCss(color: Rgb): string {
  // On a dark card a dark button would be lost, so there it is lightened; on a light one a pale
  // button keeps the brand's colour and gets an edge that can be seen.
  const seen = shiftUntil(color, 'lighter', (tone) => contrast(tone, DARK.card) >= EDGE_CONTRAST)
  return [
    rule(':root', properties(forWhiteLabel(color), LIGHT, 'darker')),
    `@media (prefers-color-scheme: dark) {\n${rule(':root', properties(forWhiteLabel(seen), DARK, 'lighter'))}}\n`,
  ].join('')
}

type Surfaces = typeof LIGHT

/** @param readable in which direction the colour becomes readable on these surfaces */
function properties(
  button: Rgb,
  { page, card, linkContrast }: Surfaces,
  readable: 'lighter' | 'darker',
): Record<string, Rgb> {
  const reaches = (ratio: number) => (tone: Rgb) =>
    contrast(tone, page) >= ratio && contrast(tone, card) >= ratio
  const label = readableOn(button)
  // Away from its label's colour, so that the label only becomes more readable.
  const hover = mix(button, label === WHITE ? INK : WHITE, 0.12)
  const link = shiftUntil(button, readable, reaches(linkContrast))
  return {
    page,
    card,
    button,
    'button-hover': hover,
    'button-text': label,
    'button-edge': shiftUntil(button, readable, reaches(EDGE_CONTRAST)),
    link,
    focus: link,
    tint: mix(card, link, 0.07),
    'tint-line': mix(card, link, 0.22),
  }
}

/** Mid tones are made a little darker, since black words on them look heavy; pale ones stay. */
function forWhiteLabel(color: Rgb): Rgb {
  if (contrast(WHITE, color) < EDGE_CONTRAST) return color
  return shiftUntil(color, 'darker', (tone) => contrast(WHITE, tone) >= LABEL_CONTRAST)
}

function readableOn(background: Rgb): Rgb {
  return contrast(WHITE, background) >= LABEL_CONTRAST ? WHITE : INK
}

function rule(selector: string, values: Record<string, Rgb>): string {
  const lines = Object.entries(values).map(([name, value]) => `  --${name}: ${hex(value)};\n`)
  return `${selector} {\n${lines.join('')}}\n`
}

/** Two gates, one behind the other: the mark of `parts.njk`, in the brand's colour. */
function favicon(color: Rgb): string {
  const ground = forWhiteLabel(color)
  const line = hex(readableOn(ground))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="${hex(ground)}"/>
<path d="M7.5 25V14.5a8.5 8.5 0 0 1 17 0V25" fill="none" stroke="${line}" stroke-width="2.5" stroke-linecap="round"/>
<path d="M12 25v-9.5a4 4 0 0 1 8 0V25z" fill="${line}"/>
</svg>
`
}
