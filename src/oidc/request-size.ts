import Provider, { errors } from 'oidc-provider'

/** Of an address with all its parameters: what servers and proxies on the way take. */
export const MOST_CHARACTERS = 7 * 1024

/** What stores a request that no browser carried, and that anybody may send. */
const SENT = new Set(['PushedAuthorizationRequest', 'DeviceCode'])

/**
 * A request that an app sends by itself may say what an address can say, and no more: it is copied into each
 * interaction that begins with it, so strangers would fill the disk with it.
 * @throws InvalidRequest
 */
export function assertFits(model: string): void {
  const params = Provider.ctx?.oidc?.params
  if (!params || !SENT.has(model)) return
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params))
    for (const one of [value ?? []].flat()) query.append(name, String(one))
  const size = query.toString().length
  if (size > MOST_CHARACTERS)
    throw new errors.InvalidRequest(
      `the request is too long: as an address its parameters would have ${size} characters, and ${MOST_CHARACTERS} are the most`,
    )
}
