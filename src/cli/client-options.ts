import { type Command, InvalidArgumentError, Option } from 'commander'
import { SCOPES } from '../oidc/claims.ts'
import { type ClientChanges, GRANTS } from '../oidc/new-client.ts'

/** What is said of a client on the command line; `false` takes it away. */
export interface ClientOptions {
  name?: string | false
  redirectUri?: string[]
  postLogoutRedirectUri?: string[] | false
  firstParty?: boolean
  secondFactor?: 'required' | 'optional' | false
  grant?: Array<(typeof GRANTS)[number]>
  scope?: Array<(typeof SCOPES)[number]> | false
  introspects?: string[] | false
  pkce?: 'required' | 'optional'
  backchannelLogoutUri?: string | false
  backchannelLogoutSessionRequired?: boolean
}

/** Options for all that may be said of a client, and changed later. */
export function addClientOptions(command: Command): Command {
  return command
    .option('--name <name>', 'what people read on the consent page')
    .option('--redirect-uri <uri...>', 'where codes may be sent; several may be given')
    .option('--post-logout-redirect-uri <uri...>', 'where people may be sent after signing out')
    .option('--first-party', 'yours: people are not asked for consent')
    .addOption(
      new Option('--second-factor <when>', 'otherwise as SECOND_FACTOR says').choices([
        'required',
        'optional',
      ]),
    )
    .option('--grant <grants...>', `of ${GRANTS.join(', ')}; else the first`, listOf(GRANTS))
    .option(
      '--scope <scopes...>',
      `of ${SCOPES.join(', ')}; else all but those of admin`,
      listOf(SCOPES),
    )
    .option('--introspects <client-id...>', 'an API: apps whose access tokens it may ask about')
    .option('--backchannel-logout-uri <uri>', 'where it is told that a session has ended')
    .option('--backchannel-logout-session-required', 'its tokens name the session, by sid')
    .addOption(
      new Option('--pkce <when>', 'optional only for an app that can’t; else required').choices([
        'required',
        'optional',
      ]),
    )
}

/** Options that take away what was said before. */
export function addTakingAway(command: Command): Command {
  return command
    .option('--no-name', 'people read the client_id')
    .option('--no-post-logout-redirect-uri', 'nobody is sent back after signing out')
    .option('--no-first-party', 'not yours: people are asked for consent')
    .option('--no-second-factor', 'as SECOND_FACTOR says')
    .option('--no-scope', 'all scopes but those of admin')
    .option('--no-introspects', 'it asks about its own tokens alone')
    .option('--no-backchannel-logout-uri', 'it is told of no sign-out')
    .option('--no-backchannel-logout-session-required', 'its tokens name no session')
}

/** What the options say, member by member; undefined where they say nothing. */
export function changesOf(options: ClientOptions): ClientChanges {
  const { name, postLogoutRedirectUri, secondFactor, scope, introspects } = options
  return {
    name: name === false ? null : name,
    redirectUris: options.redirectUri,
    postLogoutRedirectUris: postLogoutRedirectUri === false ? [] : postLogoutRedirectUri,
    firstParty: options.firstParty,
    secondFactor: secondFactor === false ? null : secondFactor,
    grants: options.grant,
    scope: scope === false ? null : scope,
    introspects: introspects === false ? [] : introspects,
    pkce: options.pkce,
    ...logoutChangesOf(options),
  }
}

/** Who is told of no sign-out needs no sid either. */
function logoutChangesOf({
  backchannelLogoutUri: uri,
  backchannelLogoutSessionRequired: required,
}: ClientOptions): ClientChanges {
  return {
    backchannelLogoutUri: uri === false ? null : uri,
    backchannelLogoutSessionRequired: uri === false ? false : required,
  }
}

/** Reads words separated by commas or spaces, over any number of arguments. */
function listOf<const Word extends string>(known: readonly Word[]) {
  return (text: string, before: Word[] = []): Word[] => {
    const words = text
      .split(/[\s,]+/)
      .filter(Boolean)
      .map((word) => {
        const found = known.find((one) => one === word)
        if (found) return found
        throw new InvalidArgumentError(`It must be of ${known.join(', ')}.`)
      })
    return [...new Set([...before, ...words])]
  }
}
