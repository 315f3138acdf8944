import { randomBytes } from 'node:crypto'
import { isAdminScope, PERSON_SCOPES, SCOPES } from '../../oidc/claims.ts'
import type { ClientSummary, NewClient } from '../../oidc/clients.ts'
import type { ClientChanges } from '../../oidc/new-client.ts'
import { advancedFields, advancedOf } from './app-advanced.ts'
import { type AppKind, kindOf } from './app-snippets.ts'
import type { FormField } from './confirming.ts'

type Given = Readonly<Record<string, string>>

/** What an app is, in words that an admin chooses by. */
export const KINDS: Readonly<Record<AppKind, string>> = {
  web: 'Web app with a server',
  public: 'Single-page or native app, without a secret',
  device: 'TV, console or command line, where people type a code elsewhere',
  program: 'API or script that acts in its own name',
}

const SCOPE_WORDS: Readonly<Record<(typeof SCOPES)[number], string>> = {
  openid: 'openid: who it is',
  profile: 'profile: name and username',
  email: 'email: e-mail address',
  phone: 'phone: phone number',
  offline_access: 'offline_access: goes on while the person is away',
  'admin:read': 'admin:read: reads everything by the admin API',
  'admin:write': 'admin:write: changes everything by the admin API',
}

/** Whoever signs people in asks for `openid`, so that one isn't asked for. */
const CHOSEN = SCOPES.filter((scope) => scope !== 'openid')

const lines = (text = '') =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)

/** The form that registers an app. */
export function newAppFields(): FormField[] {
  return [
    {
      name: 'name',
      label: 'Name',
      kind: 'text',
      required: true,
      hint: 'People read it when they sign in.',
    },
    {
      name: 'id',
      label: 'Client id',
      kind: 'text',
      hint: 'Left empty, it is made from the name. It never changes.',
    },
    {
      name: 'kind',
      label: 'What it is',
      kind: 'choice',
      options: Object.entries(KINDS).map(([value, label]) => ({ value, label })),
      hint: 'Whether it has a secret never changes.',
      value: 'web',
    },
    ...addressFields({ redirectUris: [], postLogoutRedirectUris: [] }),
    ...ruleFields({
      firstParty: false,
      secondFactor: null,
      grants: [],
      scope: ['openid', 'profile', 'email'],
    }),
  ]
}

/** What the form says; a client id is made where it says none. */
export function newAppOf(given: Given): NewClient {
  const kind = KIND_NAMES.find((one) => one === given.kind) ?? 'web'
  const name = (given.name ?? '').trim()
  return {
    id: (given.id ?? '').trim() || idFrom(name),
    public: kind === 'public' || kind === 'device',
    ...changesOf(given, kind),
    name: name || null,
  }
}

const KIND_NAMES: readonly AppKind[] = ['web', 'public', 'device', 'program']

/** The form that changes an app. */
export function appFields(client: ClientSummary): FormField[] {
  const kind = kindOf(client)
  return [
    { name: 'name', label: 'Name', kind: 'text', value: client.name ?? '' },
    ...(kind === 'program' || kind === 'device' ? [] : addressFields(client)),
    ...ruleFields(client, kind),
    ...(client.public
      ? []
      : [
          {
            name: 'introspects',
            label: 'Apps whose access tokens it may ask about',
            kind: 'lines' as const,
            hint: 'For an API: client ids, one a line.',
            value: client.introspects.join('\n'),
          },
        ]),
    ...advancedFields(client, kind),
    { name: 'version', label: 'Version', kind: 'hidden', value: String(client.version) },
  ]
}

/** What the form says of an app that is there. */
export function appChangesOf(client: ClientSummary, given: Given): ClientChanges {
  const kind = kindOf(client)
  const changes = { ...changesOf(given, kind, client), ...advancedOf(client, kind, given) }
  const name = (given.name ?? '').trim() || null
  return client.public
    ? { ...changes, name }
    : { ...changes, name, introspects: lines(given.introspects) }
}

function addressFields(
  client: Pick<ClientSummary, 'redirectUris' | 'postLogoutRedirectUris'>,
): FormField[] {
  return [
    {
      name: 'redirectUris',
      label: 'Redirect URIs',
      kind: 'lines',
      hint: 'Where people come back to after signing in, one a line, compared character by character. A script, a TV and a command line need none.',
      value: client.redirectUris.join('\n'),
    },
    {
      name: 'postLogoutRedirectUris',
      label: 'Addresses after sign-out',
      kind: 'lines',
      hint: 'One a line; none if people stay here.',
      value: client.postLogoutRedirectUris.join('\n'),
    },
  ]
}

function ruleFields(
  client: Pick<ClientSummary, 'firstParty' | 'secondFactor' | 'grants' | 'scope'>,
  kind?: AppKind,
): FormField[] {
  const { firstParty, secondFactor, grants, scope } = client
  const scopes = kind === 'program' ? CHOSEN.filter(isAdminScope) : CHOSEN
  const aboutPeople: FormField[] = [
    {
      name: 'secondFactor',
      label: 'Second factor',
      kind: 'choice',
      options: [
        { value: '', label: 'As the service says (SECOND_FACTOR)' },
        { value: 'required', label: 'Required of everybody' },
        { value: 'optional', label: 'Only of those who have one' },
      ],
      value: secondFactor ?? '',
    },
    {
      name: 'firstParty',
      label: 'It is ours',
      kind: 'tick',
      hint: 'Then people aren’t asked whether it may have their data.',
      value: firstParty ? 'yes' : '',
    },
    {
      name: 'refresh',
      label: 'It gets refresh tokens',
      kind: 'tick',
      hint: 'By which it renews its access without the person, as long as they are signed in.',
      value: grants.includes('refresh_token') ? 'yes' : '',
    },
  ]
  return [
    ...(kind === 'program' ? [] : aboutPeople),
    {
      name: 'scope',
      label: 'What it may ask for',
      kind: 'ticks',
      options: scopes.map((value) => ({ value, label: SCOPE_WORDS[value] })),
      value: (scope ?? PERSON_SCOPES).join(' '),
    },
  ]
}

/** What of an app was before, so that what the form doesn't ask for stays. */
type Before = Pick<ClientSummary, 'grants' | 'scope'>

function changesOf(given: Given, kind: AppKind, before: Before = FRESH[kind]) {
  const secondFactor = (['required', 'optional'] as const).find((one) => one === given.secondFactor)
  const rules = { firstParty: given.firstParty === 'yes', secondFactor: secondFactor ?? null }
  const words = (given.scope ?? '').split(' ')
  const ticked = CHOSEN.filter((scope) => words.includes(scope))
  if (kind === 'program') {
    const own = ticked.filter(isAdminScope)
    return { ...rules, grants: before.grants, scope: own.length > 0 ? own : null }
  }
  const others = before.grants.filter((grant) => grant !== 'refresh_token')
  const scope = ['openid' as const, ...ticked]
  const isAll = before.scope === null && scope.join() === PERSON_SCOPES.join()
  const addresses = kind !== 'device' && {
    redirectUris: lines(given.redirectUris),
    postLogoutRedirectUris: lines(given.postLogoutRedirectUris),
  }
  return {
    ...rules,
    ...addresses,
    grants: given.refresh === 'yes' ? [...others, 'refresh_token' as const] : others,
    scope: isAll ? null : scope,
  }
}

/** What an app begins with. */
const SIGNS_IN: Before = { grants: ['authorization_code'], scope: [] }
const FRESH: Readonly<Record<AppKind, Before>> = {
  web: SIGNS_IN,
  public: SIGNS_IN,
  device: { grants: ['device_code'], scope: [] },
  program: { grants: ['client_credentials'], scope: null },
}

/** As a person would write it: letters, digits and dashes. */
function idFrom(name: string): string {
  const plain = name.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
  const id = plain.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')
  return id.slice(0, 40) || `app-${randomBytes(4).toString('hex')}`
}
