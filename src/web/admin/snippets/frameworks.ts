import { ENDPOINTS, type Recipe, withoutTls } from './snippet.ts'

/** Libraries of web apps that have a server to keep a secret on. */
export const FRAMEWORKS: readonly Recipe[] = [
  {
    library: 'Express, express-openid-connect',
    place: 'app.js',
    text: ({ issuer, id, secret, scopes, redirectUri }) => `// .env: CLIENT_SECRET=${secret}
// .env: SESSION_SECRET=what openssl rand -hex 32 prints
import express from 'express'
import openid from 'express-openid-connect'

const { auth, requiresAuth } = openid
const app = express()
app.use(
  auth({
    issuerBaseURL: '${issuer}',
    clientID: '${id}',
    clientSecret: process.env.CLIENT_SECRET,
    secret: process.env.SESSION_SECRET,
    baseURL: '${URL.parse(redirectUri)?.origin ?? redirectUri}',
    routes: { callback: '${URL.parse(redirectUri)?.pathname ?? '/callback'}' },
    authorizationParams: { response_type: 'code', scope: '${scopes.join(' ')}' },
    authRequired: false,
    idpLogout: true,
  }),
)

app.get('/me', requiresAuth(), async (req, res) => {
  const { acr, amr } = req.oidc.idTokenClaims
  res.json({ ...(await req.oidc.fetchUserInfo()), acr, amr })
})
`,
  },
  {
    library: 'Auth.js, Next.js',
    place: 'auth.ts',
    comesBackTo: '/api/auth/callback/sallyport',
    note: 'Name and e-mail address come from userinfo and aren’t in the ID token, therefore idToken: false.',
    text: ({ issuer, id, secret, scopes }) => `// .env.local: AUTH_SALLYPORT_SECRET=${secret}
import NextAuth from 'next-auth'

export const { handlers, signIn, signOut, auth } = NextAuth({
  providers: [
    {
      id: 'sallyport',
      name: 'Sallyport',
      type: 'oidc',
      issuer: '${issuer}',
      clientId: '${id}',
      clientSecret: process.env.AUTH_SALLYPORT_SECRET,
      authorization: { params: { scope: '${scopes.join(' ')}' } },
      checks: ['pkce', 'state', 'nonce'],
      idToken: false,
    },
  ],
})
`,
  },
  {
    library: 'Node.js, openid-client',
    place: 'sign-in.js',
    text: (app) => `import * as client from 'openid-client'

const redirectUri = '${app.redirectUri}'
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

/** Keep what it returns in the browser's session, and send the browser to \`url\`. */
export async function begin() {
  const codeVerifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: '${app.scopes.join(' ')}',
    code_challenge: await client.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  })
  return { url, codeVerifier, state, nonce }
}

/** @param address where the browser came back to, whole, as a URL */
export async function finish(address, { codeVerifier, state, nonce }) {
  const tokens = await client.authorizationCodeGrant(config, address, {
    pkceCodeVerifier: codeVerifier,
    expectedState: state,
    expectedNonce: nonce,
  })
  const { sub, acr, amr } = tokens.claims()
  const person = await client.fetchUserInfo(config, tokens.access_token, sub)
  return { ...person, acr, amr }
}
`,
  },
  {
    library: 'Spring Boot',
    place: 'application.yml',
    comesBackTo: '/login/oauth2/code/sallyport',
    note: 'Before Spring Security 7, PKCE must be switched on for an app with a secret: see the next one.',
    text: ({ issuer, id, secret, scopes }) => `spring:
  security:
    oauth2:
      client:
        registration:
          sallyport:
            client-id: "${id}"
            client-secret: "${secret}"
            scope: ${scopes.join(', ')}
        provider:
          sallyport:
            issuer-uri: ${issuer}
`,
  },
  {
    library: 'Spring Boot, PKCE before Spring Security 7',
    place: 'SecurityConfig.java',
    text: () => `@Bean
SecurityFilterChain security(HttpSecurity http, ClientRegistrationRepository registrations) throws Exception {
    var resolver = new DefaultOAuth2AuthorizationRequestResolver(registrations, "/oauth2/authorization");
    resolver.setAuthorizationRequestCustomizer(OAuth2AuthorizationRequestCustomizers.withPkce());
    return http
        .authorizeHttpRequests(requests -> requests.anyRequest().authenticated())
        .oauth2Login(login -> login.authorizationEndpoint(at -> at.authorizationRequestResolver(resolver)))
        .build();
}
`,
  },
  {
    library: 'ASP.NET Core',
    place: 'Program.cs',
    text: (app) => `builder.Services
    .AddAuthentication(options =>
    {
        options.DefaultScheme = CookieAuthenticationDefaults.AuthenticationScheme;
        options.DefaultChallengeScheme = OpenIdConnectDefaults.AuthenticationScheme;
    })
    .AddCookie()
    .AddOpenIdConnect(options =>
    {
        options.Authority = "${app.issuer}";
        options.ClientId = "${app.id}";
        // appsettings.json: { "Sallyport": { "ClientSecret": "${app.secret}" } }
        options.ClientSecret = builder.Configuration["Sallyport:ClientSecret"];
        options.CallbackPath = "${URL.parse(app.redirectUri)?.pathname ?? '/signin-oidc'}";
        options.ResponseType = OpenIdConnectResponseType.Code;
        options.ResponseMode = OpenIdConnectResponseMode.Query;
        options.UsePkce = true;
        options.Scope.Clear();
${app.scopes.map((scope) => `        options.Scope.Add("${scope}");\n`).join('')}        options.GetClaimsFromUserInfoEndpoint = true;
        options.MapInboundClaims = false;
        options.TokenValidationParameters.NameClaimType = "name";${withoutTls(
          app,
          `
        options.RequireHttpsMetadata = false; // an http: issuer, in development only`,
        )}
    });
`,
  },
  {
    library: 'Django, mozilla-django-oidc',
    place: 'settings.py',
    comesBackTo: '/oidc/callback/',
    note: 'In urls.py: path("oidc/", include("mozilla_django_oidc.urls")). By itself it takes whoever has the same e-mail address for the same person, and addresses aren’t checked here: docs/integrations/django.md has a backend that goes by sub.',
    text: ({ issuer, id, secret, scopes }) => `INSTALLED_APPS += ["mozilla_django_oidc"]
AUTHENTICATION_BACKENDS = ["mozilla_django_oidc.auth.OIDCAuthenticationBackend"]

OIDC_RP_CLIENT_ID = "${id}"
OIDC_RP_CLIENT_SECRET = "${secret}"
OIDC_RP_SIGN_ALGO = "RS256"
OIDC_RP_SCOPES = "${scopes.join(' ')}"
OIDC_USE_PKCE = True
OIDC_PKCE_CODE_CHALLENGE_METHOD = "S256"
OIDC_OP_AUTHORIZATION_ENDPOINT = "${issuer}${ENDPOINTS.authorization}"
OIDC_OP_TOKEN_ENDPOINT = "${issuer}${ENDPOINTS.token}"
OIDC_OP_USER_ENDPOINT = "${issuer}${ENDPOINTS.userinfo}"
OIDC_OP_JWKS_ENDPOINT = "${issuer}${ENDPOINTS.jwks}"
`,
  },
  {
    library: 'Rails, omniauth_openid_connect',
    place: 'config/initializers/omniauth.rb',
    comesBackTo: '/auth/sallyport/callback',
    text: ({ issuer, id, secret, scopes, redirectUri }) =>
      `Rails.application.config.middleware.use OmniAuth::Builder do
  provider :openid_connect,
    name: :sallyport,
    issuer: "${issuer}",
    discovery: true,
    response_type: :code,
    scope: [${scopes.map((scope) => `:${scope}`).join(', ')}],
    pkce: true,
    client_options: {
      identifier: "${id}",
      secret: "${secret}",
      redirect_uri: "${redirectUri}"
    }
end
`,
  },
  {
    library: 'Go, coreos/go-oidc',
    place: 'main.go',
    text: ({ issuer, id, secret, scopes, redirectUri }) =>
      `// "github.com/coreos/go-oidc/v3/oidc" and "golang.org/x/oauth2"
provider, err := oidc.NewProvider(ctx, "${issuer}")
if err != nil {
	return err
}
config := oauth2.Config{
	ClientID:     "${id}",
	ClientSecret: "${secret}",
	RedirectURL:  "${redirectUri}",
	Endpoint:     provider.Endpoint(),
	Scopes:       []string{${scopes.map((scope) => `"${scope}"`).join(', ')}},
}

// Going: keep state, nonce and verifier in the browser's session.
verifier := oauth2.GenerateVerifier()
url := config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier))

// Coming back, once the state is the one that was kept:
token, err := config.Exchange(ctx, r.URL.Query().Get("code"), oauth2.VerifierOption(verifier))
if err != nil {
	return err
}
raw, _ := token.Extra("id_token").(string)
idToken, err := provider.Verifier(&oidc.Config{ClientID: config.ClientID}).Verify(ctx, raw)
if err != nil || idToken.Nonce != nonce {
	return errors.New("this is not the sign-in that was begun")
}
person, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
`,
  },
]
