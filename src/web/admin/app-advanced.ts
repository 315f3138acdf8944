import type { ClientSummary } from '../../oidc/clients.ts'
import { SIGNING_ALGORITHMS } from '../../oidc/key-making.ts'
import type { ClientChanges } from '../../oidc/new-client.ts'
import type { AppKind } from './app-snippets.ts'
import type { FormField } from './confirming.ts'

/** What few apps need, folded away in the form that changes one. Keys are given by the API and the command line. */
export function advancedFields(client: ClientSummary, kind: AppKind): FormField[] {
  const tick = (name: string, on: boolean, label: string, hint: string): FormField => ({
    name,
    label,
    kind: 'tick',
    hint,
    value: on ? 'yes' : '',
  })
  const always: FormField[] = [
    {
      name: 'apiScopes',
      label: 'Scopes of APIs it may ask for',
      kind: 'lines',
      hint: 'One a line. Only what a registered API offers.',
      value: client.apiScopes.join('\n'),
    },
    tick(
      'requireDpop',
      client.requireDpop,
      'Its tokens are bound to a key of its own',
      'By DPoP (RFC 9449); bearer tokens are refused then. What it was given before ends.',
    ),
  ]
  const aboutPeople: FormField[] = [
    tick(
      'requirePar',
      client.requirePar,
      'It pushes its requests before it sends people here',
      'By PAR (RFC 9126); requests in the address are refused then.',
    ),
    tick(
      'pairwise',
      client.subjectType === 'pairwise',
      'People have an id of their own here',
      'So that apps can’t tell that two people are one (pairwise subjects). When this changes, everybody is new to the app.',
    ),
    {
      name: 'idTokenAlgorithm',
      label: 'ID tokens are signed with',
      kind: 'choice',
      options: SIGNING_ALGORITHMS.map((value) => ({ value, label: value })),
      value: client.idTokenAlgorithm,
    },
  ]
  const fields = kind === 'program' ? always : [...always, ...aboutPeople]
  return fields.map((one) => ({ ...one, advanced: true }))
}

/** What that part of the form says. */
export function advancedOf(
  client: ClientSummary,
  kind: AppKind,
  given: Readonly<Record<string, string>>,
): ClientChanges {
  const always = {
    apiScopes: (given.apiScopes ?? '').split(/\s+/).filter(Boolean),
    requireDpop: given.requireDpop === 'yes',
  }
  if (kind === 'program') return always
  return {
    ...always,
    requirePar: given.requirePar === 'yes',
    subjectType: given.pairwise === 'yes' ? 'pairwise' : 'public',
    idTokenAlgorithm:
      SIGNING_ALGORITHMS.find((one) => one === given.idTokenAlgorithm) ?? client.idTokenAlgorithm,
  }
}
