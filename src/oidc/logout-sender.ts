import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import type { Log } from '../log.ts'
import { createLogoutStatements, type DueLogout } from './logouts.ts'

/** Told side by side, so that one slow app holds up no other for long. */
const BATCH = 20
/** An app that takes longer is tried again later (OIDC-32). */
const TIMEOUT_MS = 2500

/** Where an app wants to be told, and a logout token made for it just now. */
export interface LogoutLetter {
  uri: string
  token: string
}

/** Posts a body to an address that somebody else chose, and never throws. */
type Post = (
  url: string,
  request: { headers: Readonly<Record<string, string>>; body: string; timeoutMs: number },
) => Promise<{ status: number } | { problem: string }>

interface Dependencies {
  db: Db
  clock: Clock
  post: Post
  /** undefined for an app that is gone, or wants to hear of it no more */
  write(logout: DueLogout): Promise<LogoutLetter | undefined>
  log: Log
}

/**
 * Tells apps of sessions that have ended (OpenID Connect Back-Channel Logout 1.0).
 *
 * What is to be told is written down by the very statement or transaction that ends a session, whoever ends it, and
 * told afterwards: so an app that hangs or is away holds up nobody's sign-out, none is forgotten by a restart, and
 * nobody is told of an end that was rolled back. An app may hear of it twice.
 *
 * @returns what tells of some that are due, and answers whether there may be more
 */
export function createLogoutSender({ db, clock, post, write, log }: Dependencies) {
  const statements = createLogoutStatements(clock)

  async function handle(logout: DueLogout): Promise<void> {
    const { id, clientId: client, tries } = logout
    const fields = { logout: id, client, tries }
    try {
      const problem = await tell(logout).catch((error: unknown) => {
        log.warn({ ...fields, error }, 'an app was not told of a sign-out')
        return 'a fault of ours: see the log'
      })
      if (problem === undefined) return log.info(fields, 'an app was told of a sign-out')
      const { rows } = await statements.failed(logout, problem).execute(db)
      const what = rows.length > 0 ? 'telling an app of a sign-out was given up' : 'an app failed'
      log.warn({ ...fields, problem }, what)
    } catch (error) {
      // It stays due, and the app is told once more rather than not at all.
      log.warn({ ...fields, error }, 'what became of a sign-out was not recorded')
    }
  }

  /** @returns what went wrong, if anything */
  async function tell(logout: DueLogout): Promise<string | undefined> {
    const letter = await write(logout)
    if (!letter) {
      await statements.dropped(logout).execute(db)
      return undefined
    }
    const answer = await post(letter.uri, {
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'user-agent': 'Sallyport' },
      body: new URLSearchParams({ logout_token: letter.token }).toString(),
      timeoutMs: TIMEOUT_MS,
    })
    if ('problem' in answer) return answer.problem
    if (answer.status < 200 || answer.status >= 300) return `answered ${answer.status}`
    await statements.told(logout).execute(db)
    return undefined
  }

  return async (): Promise<boolean> => {
    const { rows } = await statements.take(BATCH).execute(db)
    await Promise.all(rows.map(handle))
    return rows.length === BATCH
  }
}
