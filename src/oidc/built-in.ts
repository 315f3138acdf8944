/** Ids of clients that are part of Sallyport; nobody else can make or delete one. */
const BUILT_IN = 'sallyport-'

/** The pages under `/account`, which sign people in like any app. */
export const ACCOUNT_CLIENT_ID = `${BUILT_IN}account`

/** The console under `/admin`. */
export const CONSOLE_CLIENT_ID = `${BUILT_IN}console`

export function isBuiltIn(clientId: string): boolean {
  return clientId.startsWith(BUILT_IN)
}
