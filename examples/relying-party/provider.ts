import * as client from 'openid-client'

/** Asks for the provider's discovery document at the first sign-in and keeps it; a failure isn't kept. */
export function createDiscovery(issuer: string, clientId: string, clientSecret: string) {
  let found: Promise<client.Configuration> | undefined
  return (): Promise<client.Configuration> => {
    found ??= client
      .discovery(new URL(issuer), clientId, undefined, client.ClientSecretBasic(clientSecret), {
        // Without this, openid-client trusts TLS to the provider and doesn't look at the ID token's signature.
        execute: [client.enableNonRepudiationChecks, ...insecureOnLoopback(issuer)],
        timeout: 10,
      })
      .catch((error: unknown) => {
        found = undefined
        throw error
      })
    return found
  }
}

/** Plain http is for a provider on this machine only. */
function insecureOnLoopback(issuer: string) {
  const { protocol, hostname } = new URL(issuer)
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
  return protocol === 'http:' && loopback ? [client.allowInsecureRequests] : []
}
