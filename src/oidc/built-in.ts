import { Refusal } from '../errors.ts'

/** Ids of clients that are part of Sallyport; nobody else can make, change or delete one. */
export const BUILT_IN = 'sallyport-'

/** The pages under `/account`, which sign people in like any app. */
export const ACCOUNT_CLIENT_ID = `${BUILT_IN}account`

/** The console under `/admin`. */
export const CONSOLE_CLIENT_ID = `${BUILT_IN}console`

export function isBuiltIn(clientId: string): boolean {
  return clientId.startsWith(BUILT_IN)
}

/** @throws Refusal for the id of a client that is part of Sallyport */
export function assertNotBuiltIn(clientId: string): void {
  if (isBuiltIn(clientId)) {
    throw new Refusal(
      'reserved_id',
      400,
      `The client ${clientId} would be part of this service itself.`,
    )
  }
}
