/** GSM 03.38 default alphabet: one septet each. */
const BASIC = new Set(
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?' +
    '¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà',
)

/** Its extension table: an escape and a character, two septets. */
const EXTENSION = new Set('\f^{}\\[~]|€')

export interface TextMeasure {
  encoding: 'gsm-7' | 'ucs-2'
  /** texts the carrier sends and bills; an empty text is still one */
  parts: number
}

/** How a text travels: one character outside GSM-7 turns all of it into UCS-2, at less than half the room. */
export function measureText(text: string): TextMeasure {
  const septets = septetsOf(text)
  if (septets) return { encoding: 'gsm-7', parts: countParts(septets, 160, 153) }
  const units = Array.from(text, (character) => character.length)
  return { encoding: 'ucs-2', parts: countParts(units, 70, 67) }
}

function septetsOf(text: string): number[] | null {
  const septets: number[] = []
  for (const character of text) {
    if (BASIC.has(character)) septets.push(1)
    else if (EXTENSION.has(character)) septets.push(2)
    else return null
  }
  return septets
}

/** @param room of a part of several, smaller than `alone` by the header that joins the parts */
function countParts(widths: readonly number[], alone: number, room: number): number {
  if (widths.reduce((sum, width) => sum + width, 0) <= alone) return 1
  let parts = 1
  let used = 0
  for (const width of widths) {
    // An escape or a surrogate is never parted from its other half.
    if (used + width > room) {
      parts += 1
      used = 0
    }
    used += width
  }
  return parts
}
