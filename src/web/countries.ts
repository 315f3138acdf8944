import { getCountries, getCountryCallingCode } from 'libphonenumber-js/max'
import type { Language } from '../languages/language.ts'

export interface Country {
  code: string
  name: string
  /** as in `+46` */
  dial: string
}

/** The countries whose numbers may be texted, by their names in a language, in its order. */
export function countriesIn(
  { tag }: Pick<Language, 'tag'>,
  allowed: ReadonlySet<string> | '*',
): Country[] {
  const names = new Intl.DisplayNames([tag], { type: 'region' })
  const { compare } = new Intl.Collator(tag)
  return getCountries()
    .filter((code) => allowed === '*' || allowed.has(code))
    .map((code) => ({
      code,
      name: names.of(code) ?? code,
      dial: `+${getCountryCallingCode(code)}`,
    }))
    .sort((one, other) => compare(one.name, other.name))
}
