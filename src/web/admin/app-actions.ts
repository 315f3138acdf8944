import type Router from '@koa/router'
import type { Context } from 'koa'
import type { Apps } from '../../admin/apps.ts'
import { Refusal } from '../../errors.ts'
import type { ClientSummary } from '../../oidc/clients.ts'
import { idOf } from '../account/input.ts'
import { appChangesOf, appFields, newAppFields, newAppOf } from './app-form.ts'
import { snippetsFor } from './app-snippets.ts'
import { APPS_URL } from './apps-pages.ts'
import type { Confirming } from './confirming.ts'
import type { Who } from './who.ts'

interface Dependencies {
  issuer: string
  confirm: Confirming
  apps: Apps
}

/** Registering an app, changing it, its secret, and deleting it. */
export function addAppActions(router: Router, { issuer, confirm, apps }: Dependencies): void {
  const url = (app: { id: string }) => `${APPS_URL}/${app.id}`
  const called = ({ id, name }: ClientSummary) => name ?? id
  const on = (verb: string) => ({
    path: `${APPS_URL}/:id/${verb}`,
    permission: 'apps.write' as const,
    about: (ctx: Context, { actor }: Who) => apps.get(actor, idOf(ctx)),
    back: url,
  })

  // Before an app's own page, whose path would match as well. An id may be `new`; its page then is at the API alone.
  confirm(router, {
    path: `${APPS_URL}/new`,
    permission: 'apps.write',
    title: () => 'Register an app',
    says: () => [
      'You get its client id, its secret, and what to copy into common client libraries.',
    ],
    button: 'Register the app',
    reason: 'none',
    fields: newAppFields,
    about: async () => ({}),
    back: () => APPS_URL,
    async act({ actor }, _, { fields }) {
      const { client, secret } = await apps.create(actor, newAppOf(fields))
      // Without a secret, the app's own page has everything.
      if (secret === undefined) return { to: url(client), done: 'app-created' }
      return {
        title: `${called(client)} is registered`,
        message:
          'Put the secret where the app keeps its secrets. If it is lost, the app’s page gives a new one.',
        values: [
          { label: 'Client id', value: client.id },
          { label: 'Client secret', value: secret },
        ],
        next: url(client),
        snippets: snippetsFor(issuer, client, secret),
      }
    },
  })

  confirm(router, {
    ...on('edit'),
    title: (app) => `Edit ${called(app)}`,
    says: () => [
      'A change holds at once, everywhere.',
      'If it may ask for less than before, or is no longer ours, everything it was given ends, and people go through it again.',
    ],
    button: 'Save',
    reason: 'required',
    fields: appFields,
    async act({ actor }, app, { fields, reason }) {
      // As it was when the form was shown: somebody else's change meanwhile isn't undone unseen.
      const changes = appChangesOf(app, fields)
      await apps.patch(actor, app.id, changes, Number(fields.version), reason)
      return { to: url(app), done: 'app-changed' }
    },
  })

  confirm(router, {
    ...on('secret'),
    title: (app) => `New secret for ${called(app)}`,
    says: ({ previousSecretUntil }) => [
      'A new secret is made and shown once. The present one goes on being good for as long as you say, so that the app can be given the new one without a break.',
      'If the present one is in wrong hands, say 0 hours: it ends at once, and the app can’t sign anybody in until it has the new one.',
      ...(previousSecretUntil
        ? ['The secret from before the present one, which is still good, ends at once.']
        : []),
    ],
    button: 'Make a new secret',
    danger: true,
    reason: 'required',
    fields: () => [
      {
        name: 'hours',
        label: 'Hours that the present secret goes on being good',
        kind: 'number',
        required: true,
        hint: '0 to 720, which is 30 days.',
        value: '24',
      },
    ],
    async act({ actor }, app, { reason, fields }) {
      const overlapSeconds = secondsOf(fields.hours ?? '')
      const { secret, previousUntil } = await apps.rotateSecret(actor, app.id, {
        overlapSeconds,
        reason,
      })
      return {
        title: `${called(app)} has a new secret`,
        message: previousUntil
          ? `Give it to the app before ${previousUntil.toUTCString()}, when the one before ends.`
          : 'The one before has ended. Give the app the new one now.',
        values: [
          { label: 'Client id', value: app.id },
          { label: 'Client secret', value: secret },
        ],
      }
    },
  })

  confirm(router, {
    ...on('delete'),
    title: (app) => `Delete ${called(app)}`,
    says: () => [
      'Nobody can sign in to it any more, its secret is worth nothing, and what it was given ends.',
      'It can’t be brought back; one that is registered anew with the same client id gets another secret.',
    ],
    button: 'Delete the app',
    danger: true,
    reason: 'required',
    async act({ actor }, { id }, { reason }) {
      await apps.remove(actor, id, reason)
      return { to: APPS_URL, done: 'app-deleted' }
    },
  })
}

function secondsOf(hours: string): number {
  if (/^\d{1,3}$/.test(hours.trim()) && Number(hours) <= 720) return Number(hours) * 3600
  throw new Refusal('hours', 400, 'Say a whole number of hours, from 0 to 720.')
}
