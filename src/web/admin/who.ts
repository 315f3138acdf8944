import type { Account } from '../../accounts/accounts.ts'
import type { Actor } from '../../admin/permissions.ts'

/** Who is at a page of the console. */
export interface Who {
  account: Account
  actor: Actor
  /** whether their second factor is fresh enough for what can't be undone */
  fresh: boolean
  formToken: string
}
