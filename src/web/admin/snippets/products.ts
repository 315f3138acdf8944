import { ENDPOINTS, type Recipe } from './snippet.ts'

/** Finished programs that sign people in here. */
export const PRODUCTS: readonly Recipe[] = [
  {
    library: 'oauth2-proxy',
    place: 'command line',
    comesBackTo: '/oauth2/callback',
    note: 'oauth2-proxy turns people away whose e-mail address counts as unverified, as most do here; the flag with “unverified” lets them in.',
    text: ({
      issuer,
      id,
      secret,
      redirectUri,
      scopes,
    }) => `export OAUTH2_PROXY_CLIENT_SECRET='${secret}'
export OAUTH2_PROXY_COOKIE_SECRET="$(openssl rand -base64 32 | tr -- '+/' '-_')"
oauth2-proxy \\
  --provider=oidc \\
  --oidc-issuer-url='${issuer}' \\
  --client-id='${id}' \\
  --redirect-url='${redirectUri}' \\
  --scope='${scopes.join(' ')}' \\
  --code-challenge-method=S256 \\
  --insecure-oidc-allow-unverified-email=true \\
  --email-domain='*' \\
  --upstream=http://127.0.0.1:8080
`,
  },
  {
    library: 'Apache, mod_auth_openidc',
    place: 'httpd.conf',
    note: 'The redirect URI lies below the protected path and shows no page of its own.',
    text: ({
      issuer,
      id,
      secret,
      redirectUri,
      scopes,
    }) => `OIDCProviderMetadataURL ${issuer}${ENDPOINTS.discovery}
OIDCClientID ${id}
OIDCClientSecret ${secret}
OIDCRedirectURI ${redirectUri}
# what openssl rand -hex 32 prints
OIDCCryptoPassphrase YOUR_PASSPHRASE
OIDCScope "${scopes.join(' ')}"
OIDCPKCEMethod S256
OIDCRemoteUserClaim sub

<Location "/">
    AuthType openid-connect
    Require valid-user
</Location>
`,
  },
  {
    library: 'Keycloak, as an identity provider of it',
    place: 'kcadm.sh',
    comesBackTo: '/broker/sallyport/endpoint',
    note: 'trustEmail stays false: Keycloak would call every address verified, also those that aren’t here.',
    text: ({
      issuer,
      id,
      secret,
      scopes,
    }) => `kcadm.sh create identity-provider/instances -r YOUR_REALM \\
  -s alias=sallyport -s displayName=Sallyport -s providerId=oidc -s enabled=true -s trustEmail=false \\
  -s 'config.issuer=${issuer}' \\
  -s 'config.authorizationUrl=${issuer}${ENDPOINTS.authorization}' \\
  -s 'config.tokenUrl=${issuer}${ENDPOINTS.token}' \\
  -s 'config.userInfoUrl=${issuer}${ENDPOINTS.userinfo}' \\
  -s 'config.jwksUrl=${issuer}${ENDPOINTS.jwks}' \\
  -s 'config.logoutUrl=${issuer}${ENDPOINTS.endSession}' \\
  -s config.useJwksUrl=true -s config.validateSignature=true \\
  -s 'config.clientId=${id}' \\
  -s 'config.clientSecret=${secret}' \\
  -s config.clientAuthMethod=client_secret_basic \\
  -s config.pkceEnabled=true -s config.pkceMethod=S256 \\
  -s 'config.defaultScope=${scopes.join(' ')}' \\
  -s config.loginHint=true -s config.passMaxAge=true -s config.uiLocales=true
`,
  },
  {
    library: 'Grafana',
    place: 'grafana.ini',
    comesBackTo: '/login/generic_oauth',
    text: ({ issuer, id, secret, scopes }) => `[auth.generic_oauth]
enabled = true
name = Sallyport
client_id = ${id}
client_secret = ${secret}
scopes = ${scopes.join(' ')}
auth_url = ${issuer}${ENDPOINTS.authorization}
token_url = ${issuer}${ENDPOINTS.token}
api_url = ${issuer}${ENDPOINTS.userinfo}
use_pkce = true
login_attribute_path = preferred_username
name_attribute_path = name
email_attribute_path = email
allow_sign_up = true
`,
  },
]
