import { bestDayOf, countryOf } from './countries.ts'
import { createTimes, type Defence, plain } from './defence.ts'
import { HOUR } from './traffic.ts'

/*
 * The budgets of unverified codes that Authgear publishes, with all five warnings, the default ratios and the
 * action `deny_if_any_warning` (the default one, `record_only`, refuses nothing). Its document and its code differ
 * in two things that matter here, so there is one of each:
 *
 * https://github.com/authgear/authgear-server/blob/fa7a7d551d/docs/specs/fraud-protection.md
 * https://github.com/authgear/authgear-server/tree/fa7a7d551d/pkg/lib/fraudprotection
 *
 * Thresholds are computed anew each time; Authgear keeps them for five minutes.
 */

const DAY = 24 * HOUR
const DAILY_RATIO = 0.3
const HOURLY_RATIO = 0.2
const COUNTRIES_PER_ADDRESS = 3

interface Budget {
  key: string
  seconds: number
  /** unverified codes that are too many if there are more */
  threshold: number
}

/** As the document has it: what counts are codes that were sent within the hour or day and not verified. */
export function createDocumented(): Defence {
  const { budgetsOf, verify, newCountries } = createThresholds()
  const sent = createTimes()
  const verified = createTimes()
  return plain(
    'country budgets, documented',
    ({ person: { country } }, at, address) => {
      const budgets = budgetsOf(country, address, at)
      const unverified = ({ key, seconds }: Budget) =>
        sent.within(key, at, seconds) - verified.within(key, at, seconds)
      if (newCountries(country, address, at) > COUNTRIES_PER_ADDRESS) return false
      if (budgets.some((budget) => unverified(budget) + 1 > budget.threshold)) return false
      for (const { key } of budgets) sent.add(key, at)
      return true
    },
    ({ person: { country } }, at, address) => {
      verify(country, address, at)
      for (const { key } of budgetsOf(country, address, at)) verified.add(key, at)
    },
  )
}

/**
 * As the code has it: leaky buckets, which refused codes fill too, up to the threshold, and which a verified one
 * drains by one; and numbers that were verified before always pass.
 */
export function createBuilt(): Defence {
  const { budgetsOf, verify, newCountries } = createThresholds()
  const buckets = new Map<string, { level: number; at: number }>()

  /** @returns whether the bucket was over its threshold after that */
  function pour({ key, threshold, seconds }: Budget, count: number, at: number): boolean {
    const held = buckets.get(key) ?? { level: 0, at }
    const leaked = ((at - held.at) * threshold) / seconds
    const level = Math.max(0, Math.min(held.level, threshold) - leaked + count)
    buckets.set(key, { level, at })
    return level > threshold
  }

  return plain(
    'country budgets, built',
    ({ person: { country, known } }, at, address) => {
      let warned = newCountries(country, address, at) > COUNTRIES_PER_ADDRESS
      for (const budget of budgetsOf(country, address, at)) {
        if (pour(budget, 1, at)) warned = true
      }
      return !warned || known
    },
    ({ person: { country } }, at, address) => {
      verify(country, address, at)
      for (const budget of budgetsOf(country, address, at)) pour(budget, -1, at)
    },
  )
}

/** What both have in common: how much is too much. */
function createThresholds() {
  const verified = createTimes()
  const asked = new Map<string, Map<string, number>>()
  const verifiedFrom = new Map<string, Map<string, number>>()

  return {
    budgetsOf(country: string, address: string, at: number): Budget[] {
      // Of the best day of the last 14, which was one like all others here.
      const best = bestDayOf(countryOf(country))
      const day = verified.within(`country ${country}`, at, DAY)
      const hour = verified.within(`country ${country}`, at, HOUR)
      const fromAddress = verified.within(`address ${address}`, at, DAY)
      const inDay = Math.max(20, best * DAILY_RATIO, day * DAILY_RATIO)
      const inHour = Math.max(3, (best / 6) * HOURLY_RATIO, hour * HOURLY_RATIO)
      return [
        { key: `day, ${country}`, seconds: DAY, threshold: inDay },
        { key: `hour, ${country}`, seconds: HOUR, threshold: inHour },
        {
          key: `day, ${address}`,
          seconds: DAY,
          threshold: Math.max(10, fromAddress * DAILY_RATIO),
        },
        {
          key: `hour, ${address}`,
          seconds: HOUR,
          threshold: Math.max(5, (fromAddress / 6) * HOURLY_RATIO),
        },
      ]
    },

    verify(country: string, address: string, at: number): void {
      verified.add(`country ${country}`, at)
      verified.add(`address ${address}`, at)
      note(verifiedFrom, address, country, at)
    },

    /** How many countries, this one included, an address asked codes for within a day without verifying one. */
    newCountries(country: string, address: string, at: number): number {
      note(asked, address, country, at)
      const done = verifiedFrom.get(address)
      return [...(asked.get(address) ?? [])].filter(
        ([one, last]) => last > at - DAY && (done?.get(one) ?? -DAY) <= at - DAY,
      ).length
    },
  }
}

function note(
  held: Map<string, Map<string, number>>,
  address: string,
  country: string,
  at: number,
): void {
  const countries = held.get(address) ?? new Map<string, number>()
  held.set(address, countries.set(country, at))
}
