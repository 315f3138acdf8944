import type { Recipe } from './snippet.ts'

/** Libraries of apps that keep no secret: pages in the browser alone, phones, desktops. */
export const PUBLIC_APPS: readonly Recipe[] = [
  {
    library: 'A page in the browser, oidc-client-ts',
    place: 'sign-in.ts',
    text: ({ issuer, id, redirectUri, postLogoutRedirectUri, scopes }) =>
      `import { UserManager } from 'oidc-client-ts'

export const signIn = new UserManager({
  authority: '${issuer}',
  client_id: '${id}',
  redirect_uri: '${redirectUri}',${
    postLogoutRedirectUri
      ? `
  post_logout_redirect_uri: '${postLogoutRedirectUri}',`
      : ''
  }
  scope: '${scopes.join(' ')}',
  loadUserInfo: true,
  // Else acr, amr and auth_time are taken out of the profile.
  filterProtocolClaims: ['nbf', 'jti', 'nonce', 'azp', 'at_hash'],
})

// The button: await signIn.signinRedirect()
// At the redirect URI: const user = await signIn.signinCallback()
`,
  },
  {
    library: 'Android, AppAuth',
    place: 'SignIn.kt',
    text: ({ issuer, id, redirectUri, scopes }) =>
      `// build.gradle.kts: manifestPlaceholders["appAuthRedirectScheme"] = "${schemeOf(redirectUri)}"
AuthorizationServiceConfiguration.fetchFromIssuer(Uri.parse("${issuer}")) { configuration, error ->
    if (configuration == null) throw error!!
    val request = AuthorizationRequest.Builder(
        configuration,
        "${id}",
        ResponseTypeValues.CODE,
        Uri.parse("${redirectUri}"),
    ).setScope("${scopes.join(' ')}").build()
    launcher.launch(AuthorizationService(context).getAuthorizationRequestIntent(request))
}
`,
  },
  {
    library: 'iOS and macOS, AppAuth',
    place: 'SignIn.swift',
    text: ({ issuer, id, redirectUri, scopes }) => `let issuer = URL(string: "${issuer}")!
OIDAuthorizationService.discoverConfiguration(forIssuer: issuer) { configuration, error in
    guard let configuration else { return }
    let request = OIDAuthorizationRequest(
        configuration: configuration,
        clientId: "${id}",
        clientSecret: nil,
        scopes: [${scopes.map((scope) => `"${scope}"`).join(', ')}],
        redirectURL: URL(string: "${redirectUri}")!,
        responseType: OIDResponseTypeCode,
        additionalParameters: nil)
    appDelegate.currentAuthorizationFlow =
        OIDAuthState.authState(byPresenting: request, presenting: self) { state, error in
            // state?.performAction { accessToken, idToken, error in … }
        }
}
`,
  },
]

function schemeOf(uri: string): string {
  return URL.parse(uri)?.protocol.slice(0, -1) ?? ''
}
