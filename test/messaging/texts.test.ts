import { describe, expect, it } from 'vitest'
import { measureText } from '../../src/messaging/gsm7.ts'
import { codeText, fitsParts } from '../../src/messaging/texts.ts'

const text = codeText({ brand: 'Sallyport', host: 'id.example.com', code: '012345', minutes: 5 })

describe('the text that carries a code', () => {
  it('reads as agreed', () => {
    expect(text).toBe(
      'Sallyport: 012345 is your sign-in code. Never share it with anyone. ' +
        'It expires in 5 minutes.\n\n@id.example.com #012345',
    )
  })

  it('says one minute in the singular', () => {
    const soon = codeText({ brand: 'B', host: 'h.example', code: '123456', minutes: 1 })
    expect(soon).toContain('It expires in 1 minute.\n')
  })

  it('holds no link', () => {
    expect(text).not.toMatch(/https?:|www\.|\//)
  })

  it.each([
    ['as it is', text],
    ['with a newline behind it', `${text}\n`],
    ['with carriage returns', text.replaceAll('\n', '\r\n')],
    ['with a carrier’s text before it', `Free msg\n@evil.example #000000\n${text}`],
  ])('binds the code to our origin: %s', (_, received) => {
    expect(parseOriginBound(received)).toEqual({ host: 'id.example.com', code: '012345' })
  })

  it('is one GSM-7 part, up to a long brand and host', () => {
    expect(measureText(text)).toEqual({ encoding: 'gsm-7', parts: 1 })
    const brand = 'Försäkringskassan Nord'
    expect(fitsParts(brand, 'inloggning.kundtjanst.example.com')).toBe(true)
  })

  it('is refused where brand and host make it two parts, at exactly the right length', () => {
    const room =
      160 - codeText({ brand: '', host: 'h.example', code: '00000000', minutes: 10 }).length
    expect(fitsParts('b'.repeat(room), 'h.example')).toBe(true)
    expect(fitsParts('b'.repeat(room + 1), 'h.example')).toBe(false)
    expect(fitsParts(`${'b'.repeat(room - 1)}€`, 'h.example')).toBe(false)
  })

  it.each(['Шлюз', 'Bank’s', 'ção', '🏦'])('is refused for a brand outside GSM-7: %s', (brand) => {
    expect(fitsParts(brand, 'id.example.com')).toBe(false)
  })
})

describe('measuring a text', () => {
  it.each([
    ['nothing', '', 'gsm-7', 1],
    ['160 septets', 'a'.repeat(160), 'gsm-7', 1],
    ['161 septets', 'a'.repeat(161), 'gsm-7', 2],
    ['306 septets', 'a'.repeat(306), 'gsm-7', 2],
    ['307 septets', 'a'.repeat(307), 'gsm-7', 3],
    ['80 of the extension table', '€'.repeat(80), 'gsm-7', 1],
    ['81 of the extension table', '€'.repeat(81), 'gsm-7', 2],
    // 152 septets and an escape: the pair moves to the second part, which makes a third.
    ['an escape on the seam', `${'a'.repeat(152)}€${'a'.repeat(152)}`, 'gsm-7', 3],
    ['accents and Greek of the alphabet', 'éèùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉÄÖÑÜ§¿äöñüà@£$¥¤¡_', 'gsm-7', 1],
    ['a small c cedilla, which is not in it', 'ç', 'ucs-2', 1],
    ['a back quote, which is not in it', '`', 'ucs-2', 1],
    ['a tabulator, which is not in it', '\t', 'ucs-2', 1],
    ['70 units', 'й'.repeat(70), 'ucs-2', 1],
    ['71 units', 'й'.repeat(71), 'ucs-2', 2],
    ['134 units', 'й'.repeat(134), 'ucs-2', 2],
    ['135 units', 'й'.repeat(135), 'ucs-2', 3],
    ['35 emoji', '🏦'.repeat(35), 'ucs-2', 1],
    ['67 emoji, of which none is cut in two', '🏦'.repeat(67), 'ucs-2', 3],
  ])('%s', (_, measured, encoding, parts) => {
    expect(measureText(measured)).toEqual({ encoding, parts })
  })
})

/** WICG "sms-one-time-codes", parsing an origin-bound one-time code message; written from its steps. */
function parseOriginBound(message: string): { host: string; code: string } | null {
  const normalised = message.replaceAll('\r\n', '\n').replaceAll('\r', '\n')
  const lines = normalised.endsWith('\n') ? normalised.slice(0, -1) : normalised
  const line = lines.slice(lines.lastIndexOf('\n') + 1)
  let position = 0
  const collect = () => {
    const begin = position
    while (position < line.length && !/[\t\n\f\r ]/.test(line.charAt(position))) position += 1
    return line.slice(begin, position)
  }
  if (line.charAt(position) !== '@') return null
  position += 1
  const host = collect()
  if (host === '' || line.charAt(position) !== ' ') return null
  position += 1
  if (line.charAt(position) !== '#') return null
  position += 1
  const code = collect()
  return code === '' ? null : { host, code }
}
