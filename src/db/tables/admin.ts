/** Browsers in which somebody is at the console. */
export interface ConsoleSessionTable {
  token_hash: Buffer
  account_id: string
  /** hash of the `uid` of the provider's session it was opened from; it ends with that */
  session_key: Buffer
  /** when a second factor was shown for it */
  proven_at: Date
  created_at: Date
  used_at: Date
}

/** Links by which the first admin is made; none is left once there is one. */
export interface BootstrapLinkTable {
  token_hash: Buffer
  expires_at: Date
}

/** Requests that made something, so that one that comes twice makes it once. */
export interface IdempotencyKeyTable {
  /** hash of who asked, what for, and the key they chose */
  key: Buffer
  /** hash of what was asked */
  request: Buffer
  /** sealed; null while it is being answered */
  response: Buffer | null
  created_at: Date
}
