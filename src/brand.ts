import { type Config, ConfigError } from './config/config.ts'
import type { Languages } from './languages/languages.ts'
import { fitsParts } from './messaging/texts.ts'

/** @throws ConfigError when the text of a language takes more parts than it may */
export function assertTextsFit({ brand, issuer }: Config, languages: Languages): void {
  const { hostname } = new URL(issuer)
  const tooLong = languages.all.filter((language) => !fitsParts(brand.name, hostname, language))
  if (tooLong.length === 0) return
  const problem =
    'makes a text message take more parts than it may, together with the host of ISSUER: choose a shorter name, in letters of GSM-7 (no ç, no typographic quotes)'
  const where = tooLong.length < languages.all.length ? ` (${tooLong.map(({ tag }) => tag)})` : ''
  throw new ConfigError([{ variable: 'BRAND_NAME', problem: problem + where }])
}
