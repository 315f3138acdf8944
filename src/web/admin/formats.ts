/** Numbers as the console writes them, which is in English. */

export type Unit = 'count' | 'share' | 'seconds' | 'money'

const counts = new Intl.NumberFormat('en')
const shares = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const countries = new Intl.DisplayNames('en', { type: 'region' })

export function countText(count: number): string {
  return counts.format(count)
}

/** @param share of 1 */
export function shareText(share: number): string {
  if (share > 0 && share < 0.0005) return 'under 0.1 %'
  return `${shares.format(share * 100)} %`
}

export function secondsText(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const rest = whole % 60
  return rest === 0 ? `${Math.floor(whole / 60)} min` : `${Math.floor(whole / 60)} min ${rest} s`
}

/** @param currency ISO 4217 */
export function moneyText(money: number, currency: string): string {
  // Single texts cost fractions of a cent.
  const few = money !== 0 && Math.abs(money) < 1
  const format = { style: 'currency', currency, ...(few && { maximumFractionDigits: 4 }) } as const
  return new Intl.NumberFormat('en', format).format(money)
}

/** @param code ISO 3166; null where it isn't known */
export function countryText(code: string | null): string {
  if (code === null) return 'Unknown country'
  const name = /^[A-Z]{2}$/.test(code) ? countries.of(code) : undefined
  return name ?? code
}
