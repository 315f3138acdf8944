import { Refusal } from '../errors.ts'

/** What is wrong with sending something to an address, as the end of a sentence; undefined when nothing is. */
export type CheckTarget = (url: string) => Promise<string | undefined>

/**
 * @param uri where an app wants to be told of sign-outs, if it does
 * @throws Refusal when nothing may be sent there
 */
export async function assertLogoutUri(
  uri: string | null | undefined,
  check: CheckTarget,
): Promise<void> {
  const problem = uri ? await check(uri) : undefined
  if (uri === '' || problem !== undefined) {
    throw new Refusal(
      'backchannel_logout_uri',
      400,
      `The back-channel logout URI ${problem ?? 'is empty'}. Hosts inside have to be named in WEBHOOK_ALLOWED_HOSTS.`,
    )
  }
}
