import type { SendRefusal } from '../second-factor/challenges.ts'

/** Why a sign-in can't go on from here. */
export type Stop =
  | SendRefusal
  | 'disabled'
  | 'expired'
  | 'too-many-tries'
  | 'no-sends-left'
  | 'no-phone'
  | 'ended'

interface Wording {
  status: number
  title: string
  message: string
  /** when another try makes sense */
  retryInMinutes?: number
}

/** The longest it takes until the first send of a full hour falls out of the count. */
const MINUTES_UNTIL_LIMITS_EASE = 65

/** What the page says of it. */
export const STOPS: Record<Stop, Wording> = {
  expired: {
    status: 400,
    title: 'That code has expired',
    message: 'It took longer than the code was good for. Start again to get a new one.',
  },
  'too-many-tries': {
    status: 403,
    title: 'Too many wrong codes',
    message: 'This code can’t be used any more. Start again to get a new one.',
  },
  ended: {
    status: 400,
    title: 'This code can’t be used any more',
    message: 'The sign-in it belonged to has ended. Start again to get a new one.',
  },
  'no-sends-left': {
    status: 429,
    title: 'No more texts for this sign-in',
    message: 'The code was sent as often as it may be. Type it, or start again to get a new one.',
  },
  locked: {
    status: 403,
    title: 'Too many wrong codes',
    message: 'For safety, codes for this account are not taken for a while.',
    retryInMinutes: 10,
  },
  disabled: {
    status: 403,
    title: 'Codes for your account are off',
    message:
      'Too many wrong ones were typed. Ask the people who run this service to switch them on again.',
  },
  'phone-limit': {
    status: 429,
    title: 'Too many texts',
    message:
      'This phone was sent as many codes as it may get for now. If you didn’t ask for them, tell the people who run this service: someone may know your password.',
    retryInMinutes: MINUTES_UNTIL_LIMITS_EASE,
  },
  'address-limit': {
    status: 429,
    title: 'Too many texts',
    message: 'As many codes as may be were asked for from your network.',
    retryInMinutes: MINUTES_UNTIL_LIMITS_EASE,
  },
  'overall-limit': {
    status: 503,
    title: 'We can’t send codes just now',
    message: 'More codes are asked for than we may send. Your password was right; try again later.',
    retryInMinutes: MINUTES_UNTIL_LIMITS_EASE,
  },
  'country-not-allowed': {
    status: 403,
    title: 'We can’t text your number',
    message:
      'Codes are not sent to numbers of its country. Ask the people who run this service to change your number.',
  },
  'no-phone': {
    status: 403,
    title: 'Your account has no phone yet',
    message:
      'Signing in here takes a code sent to your phone. Ask the people who run this service to add your number.',
  },
}
