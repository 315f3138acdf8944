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

export const PASSWORD_ALONE: Authentication = { acr: ACR.password, amr: ['pwd'] }
export const PASSWORD_AND_TEXTED_CODE: Authentication = {
  acr: ACR.secondFactor,
  amr: ['pwd', 'otp', 'sms', 'mfa'],
}

/** Whether a request's `acr_values` (a list separated by spaces) begin with the second factor's level. */
export function asksForSecondFactor(acrValues: unknown): boolean {
  return typeof acrValues === 'string' && acrValues.split(' ')[0] === ACR.secondFactor
}
