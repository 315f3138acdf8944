/** The members of a body. */
export type Said = Record<string, unknown>

/**
 * Asks by a bearer token and reads the answer, as clients that register themselves do (RFC 7591, RFC 7592).
 * @param token none where it is undefined
 * @param said sent as JSON, or as it is when a string
 */
export async function sendJson(
  method: string,
  target: string,
  token: string | undefined,
  said?: Said | string,
): Promise<{ status: number; body: Said }> {
  const answer = await fetch(target, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(said !== undefined && { 'content-type': 'application/json' }),
    },
    ...(said !== undefined && { body: typeof said === 'string' ? said : JSON.stringify(said) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: text ? JSON.parse(text) : {} }
}
