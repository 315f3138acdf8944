import type { MessageKey } from '../languages/language.ts'
import type { CodeOutcome } from '../metrics.ts'
import type { SendRefusal } from '../second-factor/challenges.ts'

/** Why a sign-in can't go on from here. */
export type Stop =
  | SendRefusal['refused']
  | 'disabled'
  | 'expired'
  | 'too-many-tries'
  | 'no-sends-left'
  | 'no-phone'
  | 'ended'

interface Wording {
  status: number
  title: MessageKey
  message: MessageKey
  /** what it means for the code that was asked for, where it ends that */
  counts?: CodeOutcome
  /** when another try makes sense, where nothing more exact is known */
  retryInMinutes?: number
}

/** The longest it takes until the first send of a full hour falls out of the count. */
const MINUTES_UNTIL_LIMITS_EASE = 65
/** The same for a day. */
const MINUTES_UNTIL_DAY_EASES = 25 * 60

/** What the page says of it. */
export const STOPS: Record<Stop, Wording> = {
  expired: {
    counts: 'expired',
    status: 400,
    title: 'ended.expiredTitle',
    message: 'ended.expired',
  },
  'too-many-tries': {
    counts: 'too-many-tries',
    status: 403,
    title: 'ended.tooManyWrongTitle',
    message: 'ended.tooManyWrong',
  },
  ended: { status: 400, title: 'ended.endedTitle', message: 'ended.ended' },
  'no-sends-left': {
    counts: 'too-many-sends',
    status: 429,
    title: 'ended.noSendsLeftTitle',
    message: 'ended.noSendsLeft',
  },
  locked: {
    counts: 'too-many-tries',
    status: 403,
    title: 'ended.tooManyWrongTitle',
    message: 'ended.locked',
    retryInMinutes: 10,
  },
  disabled: {
    counts: 'too-many-tries',
    status: 403,
    title: 'ended.disabledTitle',
    message: 'ended.disabled',
  },
  'phone-limit': {
    counts: 'too-many-sends',
    status: 429,
    title: 'ended.tooManyTextsTitle',
    message: 'ended.phoneLimit',
    retryInMinutes: MINUTES_UNTIL_LIMITS_EASE,
  },
  'phone-day-limit': {
    counts: 'too-many-sends',
    status: 429,
    title: 'ended.tooManyTextsTitle',
    message: 'ended.phoneLimit',
    retryInMinutes: MINUTES_UNTIL_DAY_EASES,
  },
  'prefix-unanswered': {
    counts: 'too-many-sends',
    status: 429,
    title: 'ended.overallLimitTitle',
    message: 'ended.blockLimit',
  },
  'prefix-limit': {
    counts: 'too-many-sends',
    status: 429,
    title: 'ended.overallLimitTitle',
    message: 'ended.blockLimit',
    retryInMinutes: MINUTES_UNTIL_LIMITS_EASE,
  },
  'address-limit': {
    counts: 'too-many-sends',
    status: 429,
    title: 'ended.tooManyTextsTitle',
    message: 'ended.addressLimit',
    retryInMinutes: MINUTES_UNTIL_LIMITS_EASE,
  },
  'country-limit': {
    counts: 'too-many-sends',
    status: 503,
    title: 'ended.overallLimitTitle',
    message: 'ended.countryPaused',
    retryInMinutes: MINUTES_UNTIL_LIMITS_EASE,
  },
  'country-paused': {
    counts: 'too-many-sends',
    status: 503,
    title: 'ended.overallLimitTitle',
    message: 'ended.countryPaused',
  },
  'overall-limit': {
    counts: 'too-many-sends',
    status: 503,
    title: 'ended.overallLimitTitle',
    message: 'ended.overallLimit',
    retryInMinutes: MINUTES_UNTIL_LIMITS_EASE,
  },
  'overall-day-limit': {
    counts: 'too-many-sends',
    status: 503,
    title: 'ended.overallLimitTitle',
    message: 'ended.overallLimit',
    retryInMinutes: MINUTES_UNTIL_DAY_EASES,
  },
  'account-wait': {
    counts: 'too-many-sends',
    status: 429,
    title: 'ended.tooManyTextsTitle',
    message: 'ended.accountWait',
    retryInMinutes: 1,
  },
  'country-not-allowed': {
    status: 403,
    title: 'ended.countryTitle',
    message: 'ended.country',
  },
  'opted-out': {
    counts: 'not-delivered',
    status: 403,
    title: 'ended.unreachableTitle',
    message: 'ended.optedOut',
  },
  landline: {
    counts: 'not-delivered',
    status: 403,
    title: 'ended.unreachableTitle',
    message: 'ended.landline',
  },
  barred: {
    counts: 'not-delivered',
    status: 403,
    title: 'ended.unreachableTitle',
    message: 'ended.barred',
  },
  'no-phone': { status: 403, title: 'ended.noPhoneTitle', message: 'ended.noPhone' },
}
