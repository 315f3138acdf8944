import { ENDPOINTS, type Recipe, withoutTls } from './snippet.ts'

/** Ways for programs that act in their own name, without a person. */
export const PROGRAMS: readonly Recipe[] = [
  {
    library: 'curl',
    place: 'shell',
    text: ({ issuer, id, secret, scopes }) => `curl --user '${id}:${secret}' \\
  --data grant_type=client_credentials \\${
    scopes.length > 0
      ? `
  --data-urlencode 'scope=${scopes.join(' ')}' \\`
      : ''
  }
  '${issuer}${ENDPOINTS.token}'
${
  scopes.some((scope) => scope.startsWith('admin:'))
    ? `
# with the access_token of the answer:
curl --header "Authorization: Bearer $ACCESS_TOKEN" '${issuer}/api/admin/v1/accounts?limit=10'
`
    : ''
}`,
  },
  {
    library: 'Node.js, openid-client',
    place: 'token.js',
    text: (app) => `import * as client from 'openid-client'

const config = await client.discovery(
  new URL('${app.issuer}'),
  '${app.id}',
  '${app.secret}',${withoutTls(
    app,
    `
  undefined,
  { execute: [client.allowInsecureRequests] }, // an http: issuer, in development only`,
  )}
)
export const tokens = await client.clientCredentialsGrant(config, {${
      app.scopes.length > 0 ? ` scope: '${app.scopes.join(' ')}' ` : ''
    }})
`,
  },
]

/** For an API that is handed other apps' access tokens. */
export const INTROSPECTION: Recipe = {
  library: 'Asking what an access token is worth',
  place: 'shell',
  text: ({ issuer, id, secret }) => `curl --user '${id}:${secret}' \\
  --data-urlencode "token=$ACCESS_TOKEN" \\
  '${issuer}${ENDPOINTS.introspection}'
`,
}
