/* global oidc */
// The library as one script, so that this page needs no build; with one: import { UserManager } from 'oidc-client-ts'.
const { issuer, clientId } = await (await fetch('/settings.json')).json()

const signIn = new oidc.UserManager({
  authority: issuer,
  client_id: clientId,
  redirect_uri: `${location.origin}/callback`,
  post_logout_redirect_uri: `${location.origin}/`,
  scope: 'openid profile email',
  loadUserInfo: true,
  // Else acr, amr and auth_time are taken out of the profile.
  filterProtocolClaims: ['nbf', 'jti', 'nonce', 'azp', 'at_hash'],
})

/** The element of this id. */
const at = (id) => document.getElementById(id)

function show(user) {
  at('greeting').textContent = user ? `Hello, ${user.profile.name}` : 'Nobody is signed in'
  at('claims').textContent = user ? JSON.stringify(user.profile, null, 2) : ''
  for (const id of ['sign-in', 'sign-in-popup']) at(id).hidden = user !== null
  for (const id of ['renew', 'sign-out']) at(id).hidden = user === null
}

/** Carries out what a button is for, and says why where it fails. */
function on(id, work) {
  at(id).addEventListener('click', async () => {
    try {
      at('notice').textContent = (await work()) ?? ''
      show(await signIn.getUser())
    } catch (error) {
      at('notice').textContent = String(error)
    }
  })
}

on('sign-in', () => signIn.signinRedirect())
on('sign-in-popup', async () => void (await signIn.signinPopup()))
on('renew', async () => {
  // By the refresh token; the library does it by itself, too, a minute before the access token ends.
  await signIn.signinSilent()
  return 'New tokens are here.'
})
on('sign-out', () => signIn.signoutRedirect())

if (location.pathname === '/callback') {
  try {
    const user = await signIn.signinCallback()
    history.replaceState(null, '', '/')
    show(user ?? null)
  } catch (error) {
    show(null)
    at('notice').textContent = String(error)
  }
} else {
  show(await signIn.getUser())
}
