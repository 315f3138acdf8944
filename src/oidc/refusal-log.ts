import type Provider from 'oidc-provider'
import type { errors, KoaContextWithOIDC } from 'oidc-provider'
import type { Log } from '../log.ts'

/** Logs why a request of an app was refused: what its developers need, and never a parameter's value. */
export function logRefusals(provider: Provider, log: Log): void {
  const note = (what: string) => (ctx: KoaContextWithOIDC, error: errors.OIDCProviderError) => {
    const { error: code, error_description: description, error_detail: detail } = error
    log.info(
      {
        request: ctx.state.requestId,
        client: ctx.oidc?.client?.clientId,
        refusal: code,
        description,
        detail,
      },
      what,
    )
  }
  provider.on('authorization.error', note('authorization refused'))
  provider.on('grant.error', note('token refused'))
  provider.on('userinfo.error', note('userinfo refused'))
  provider.on('introspection.error', note('introspection refused'))
  provider.on('revocation.error', note('revocation refused'))
  provider.on('pushed_authorization_request.error', note('pushed request refused'))
  provider.on('device_authorization.error', note('device refused'))
  provider.on('code_verification.error', note('device not connected'))
  provider.on('device_resume.error', note('device not connected'))
  provider.on('registration_create.error', note('registration refused'))
  provider.on('registration_read.error', note('registration refused'))
  provider.on('registration_update.error', note('registration refused'))
  provider.on('registration_delete.error', note('registration refused'))
  provider.on('end_session.error', note('sign-out refused'))
}
