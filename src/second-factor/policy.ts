/** Whether a client, or the provider for clients that don't say, wants a second factor of everyone. */
export type SecondFactorPolicy = 'required' | 'optional'

/** What must happen after the right password. */
export type Due = 'code' | 'nothing' | 'enrolment'

/**
 * Someone who has a second factor is always asked for it, whatever the policy; someone who has none may
 * pass on the password alone only where it is optional.
 */
export function dueAfterPassword(policy: SecondFactorPolicy, hasPhone: boolean): Due {
  if (hasPhone) return 'code'
  return policy === 'optional' ? 'nothing' : 'enrolment'
}
