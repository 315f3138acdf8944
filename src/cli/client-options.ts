import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { SCOPES } from '../oidc/claims.ts'
import { type PublicKeys, publicKeys } from '../oidc/client-keys.ts'
import { SIGNING_ALGORITHMS } from '../oidc/key-making.ts'
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
  jwks?: PublicKeys
  jwksUri?: string | false
  idTokenAlgorithm?: (typeof SIGNING_ALGORITHMS)[number]
  requirePar?: boolean
  requireDpop?: boolean
  pairwise?: boolean
  sector?: string
  apiScope?: string[] | false
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
    .option(
      '--jwks <file>',
      'its public keys, a JSON Web Key Set: it proves with them who it is, and has no secret',
      keysIn,
    )
    .option('--jwks-uri <url>', 'where such keys are read, in place of the file')
    .addOption(
      new Option('--id-token-algorithm <name>', 'what its ID tokens are signed with').choices(
        SIGNING_ALGORITHMS,
      ),
    )
    .option('--api-scope <scopes...>', 'scopes of APIs that it may ask for', words)
    .option('--require-par', 'it must push its authorization requests (RFC 9126)')
    .option('--require-dpop', 'it gets only tokens bound to a key of its own (RFC 9449)')
    .option('--pairwise', 'people have a sub of their own here, unlike at other apps')
    .option('--sector <host>', 'with --pairwise: whose apps share a sub; else of the redirect URIs')
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
    .option('--no-jwks-uri', 'with --jwks: its keys are given, and no longer read')
    .option('--no-api-scope', 'it may ask for no API')
    .option('--no-require-par', 'it may send people here with a request in the address')
    .option('--no-require-dpop', 'bearer tokens will do')
    .option('--no-pairwise', 'people have the same sub here as at other apps')
}

/** What the options say, member by member; undefined where they say nothing. */
export function changesOf(options: ClientOptions): ClientChanges {
  const { name, postLogoutRedirectUri, secondFactor, scope, introspects } = options
  const { jwks, jwksUri, pairwise } = options
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
    // Keys that are given stand in place of an address, and the other way round.
    jwks: jwks ?? (typeof jwksUri === 'string' ? null : undefined),
    jwksUri: jwksUri === false || jwks ? null : jwksUri,
    idTokenAlgorithm: options.idTokenAlgorithm,
    requirePar: options.requirePar,
    requireDpop: options.requireDpop,
    subjectType: pairwise === undefined ? undefined : pairwise ? 'pairwise' : 'public',
    sector: options.sector,
    apiScopes: options.apiScope === false ? [] : options.apiScope,
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
export function words(text: string, before: readonly string[] = []): string[] {
  return [...new Set([...before, ...text.split(/[\s,]+/).filter(Boolean)])]
}

/** Reads words of those that are known. */
function listOf<const Word extends string>(known: readonly Word[]) {
  return (text: string, before: Word[] = []): Word[] => {
    const said = words(text).map((word) => {
      const found = known.find((one) => one === word)
      if (found) return found
      throw new InvalidArgumentError(`It must be of ${known.join(', ')}.`)
    })
    return [...new Set([...before, ...said])]
  }
}

/** Reads a key set; what is wrong with its keys is told when they are registered. */
function keysIn(path: string): PublicKeys {
  let parsed: ReturnType<typeof publicKeys.safeParse>
  try {
    parsed = publicKeys.safeParse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    throw new InvalidArgumentError('It must be a file with a JSON Web Key Set.')
  }
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('It must be a file with a JSON Web Key Set: {"keys":[…]}.')
}
