/** Levels of authentication (REFEDS profiles), reported as `acr`. */
export const ACR = {
  password: 'https://refeds.org/profile/sfa',
  secondFactor: 'https://refeds.org/profile/mfa',
} as const

/** How someone was authenticated, in the words of RFC 8176 and one of our own: exactly what was done in this sign-in. */
export interface Authentication {
  acr: string
  amr: string[]
}

/** What can stand beside the password. */
export type Factor = 'sms' | 'voice' | 'totp' | 'backup-code' | 'bypass-code'

/** Also of a sign-in in a remembered browser: no second factor was shown in it. */
export const PASSWORD_ALONE: Authentication = { acr: ACR.password, amr: ['pwd'] }

const METHODS: Record<Factor, readonly string[]> = {
  sms: ['otp', 'sms'],
  voice: ['otp', 'tel'],
  totp: ['otp'],
  'backup-code': ['otp'],
  'bypass-code': ['otp'],
}
/** Not of RFC 8176: the help desk let somebody in, and an app may refuse that. */
const BYPASS = 'bypass'

/** A password and then this. */
export function authenticationBy(factor: Factor): Authentication {
  const amr = ['pwd', ...METHODS[factor], 'mfa']
  return { acr: ACR.secondFactor, amr: factor === 'bypass-code' ? [...amr, BYPASS] : amr }
}
