/** Levels of authentication (REFEDS profiles), reported as `acr`. */
export const ACR = {
  password: 'https://refeds.org/profile/sfa',
  secondFactor: 'https://refeds.org/profile/mfa',
} as const

/** How someone was authenticated, in the words of RFC 8176: exactly what was done in this sign-in. */
export interface Authentication {
  acr: string
  amr: string[]
}

/** What can stand beside the password. */
export type Factor = 'sms' | 'voice' | 'totp' | 'backup-code'

/** Also of a sign-in in a remembered browser: no second factor was shown in it. */
export const PASSWORD_ALONE: Authentication = { acr: ACR.password, amr: ['pwd'] }

const METHODS: Record<Factor, readonly string[]> = {
  sms: ['otp', 'sms'],
  voice: ['otp', 'tel'],
  totp: ['otp'],
  'backup-code': ['otp'],
}

/** A password and then this. */
export function authenticationBy(factor: Factor): Authentication {
  return { acr: ACR.secondFactor, amr: ['pwd', ...METHODS[factor], 'mfa'] }
}
