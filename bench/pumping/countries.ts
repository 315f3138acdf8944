export interface Country {
  code: string
  /** of one text, in euros */
  price: number
  /** honest sign-ins a day that ask for a text */
  daily: number
  /** how many blocks of ten thousand numbers honest people's numbers lie in */
  blocks: number
}

/** A service for six countries. Prices are round figures of the order that gateways ask; a small country's are often the highest. */
export const COUNTRIES: readonly Country[] = [
  { code: 'GB', price: 0.04, daily: 300, blocks: 900 },
  { code: 'DE', price: 0.08, daily: 150, blocks: 400 },
  { code: 'SE', price: 0.05, daily: 80, blocks: 200 },
  { code: 'DK', price: 0.03, daily: 40, blocks: 80 },
  { code: 'LV', price: 0.06, daily: 20, blocks: 40 },
  { code: 'AZ', price: 0.25, daily: 8, blocks: 25 },
]

export function countryOf(code: string): Country {
  const country = COUNTRIES.find((one) => one.code === code)
  if (!country) throw new Error(`no country ${code}`)
  return country
}

/** Right codes of a country's best day: that many of the sign-ins come to one. */
export const bestDayOf = ({ daily }: Country) => Math.round(daily * 0.95)
