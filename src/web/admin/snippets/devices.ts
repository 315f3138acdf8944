import { ENDPOINTS, type Recipe, withoutTls } from './snippet.ts'

/** Ways for TVs and command lines, which show a code for their person to type elsewhere (RFC 8628). */
export const DEVICES: readonly Recipe[] = [
  {
    library: 'Node.js, openid-client',
    place: 'sign-in.js',
    text: (app) => `import * as client from 'openid-client'

const config = await client.discovery(
  new URL('${app.issuer}'),
  '${app.id}',
  ${app.secret ? `'${app.secret}'` : 'undefined'},
  ${app.secret ? 'undefined' : 'client.None()'},${withoutTls(
    app,
    `
  { execute: [client.allowInsecureRequests] }, // an http: issuer, in development only`,
  )}
)
const asked = await client.initiateDeviceAuthorization(config, { scope: '${app.scopes.join(' ')}' })
console.log(\`Open \${asked.verification_uri} and type \${asked.user_code}\`)
// Waits, as slowly as it is told to, until the person is done or ten minutes are over.
export const tokens = await client.pollDeviceAuthorizationGrant(config, asked)
`,
  },
  {
    library: 'curl',
    place: 'shell',
    text: ({ issuer, id, secret, scopes }) => {
      const who = secret ? `--user '${id}:${secret}'` : `--data 'client_id=${id}'`
      return `# shows user_code and where to type it
curl ${who} --data-urlencode 'scope=${scopes.join(' ')}' \\
  '${issuer}${ENDPOINTS.deviceAuthorization}'
# again every five seconds, until the answer has tokens
curl ${who} --data-urlencode "device_code=$DEVICE_CODE" \\
  --data grant_type=urn:ietf:params:oauth:grant-type:device_code '${issuer}${ENDPOINTS.token}'
`
    },
  },
]
