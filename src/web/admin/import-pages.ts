import type Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import type { Transfers } from '../../admin/transfers.ts'
import { Refusal } from '../../errors.ts'
import { readFirebaseProject } from '../../transfer/firebase.ts'
import { IMPORT_FORMATS, isImportFormat } from '../../transfer/formats.ts'
import type { NewImport } from '../../transfer/imports.ts'
import { CHUNK_BYTES, UPLOAD_BYTES } from '../../transfer/uploads.ts'
import { idIn, idOf, readStrict } from '../account/input.ts'
import { assertOwnOrigin } from '../guard.ts'
import type { Confirming } from './confirming.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'
import { goOn } from './done.ts'
import { PEOPLE_URL } from './people-pages.ts'
import { readUpload } from './upload.ts'

const IMPORTS_URL = `${PEOPLE_URL}/import`
const FAILURES_SHOWN = 200

const FORMATS: Record<(typeof IMPORT_FORMATS)[number], string> = {
  csv: 'CSV, with a row of column names',
  jsonl: 'JSON lines, one account a line',
  keycloak: 'Keycloak realm export (JSON)',
  firebase: 'Firebase auth:export (JSON)',
}

interface Dependencies {
  issuer: string
  door: ConsoleDoor
  pages: ConsolePages
  confirm: Confirming
  transfers: Transfers
}

const query = z.object({ after: z.coerce.number().int().min(0).default(0).catch(0) })

/** Importing accounts: what is to be done with a file, the file itself, and how far it is. */
export function addImports(router: Router, deps: Dependencies): void {
  const { issuer, door, pages, confirm, transfers } = deps
  const url = (id: string) => `${IMPORTS_URL}/${id}`
  const jobOf = (ctx: Context) => idIn(ctx.params?.job)

  router.get(
    IMPORTS_URL,
    door.page('people.import', async (ctx, who) => {
      pages.show(ctx, who, 'imports', { jobs: await transfers.list(who.actor), formats: FORMATS })
    }),
  )

  confirm(router, {
    path: `${IMPORTS_URL}/new`,
    permission: 'people.import',
    title: () => 'Import accounts',
    says: () => [
      'Say what file it is; you choose it on the next page.',
      'A dry run reads and judges every row and writes nothing: begin with one.',
      'Password hashes are kept, and made anew at each person’s next sign-in.',
    ],
    button: 'Continue',
    reason: 'none',
    fields: () => [
      {
        name: 'format',
        label: 'Format',
        kind: 'choice',
        options: IMPORT_FORMATS.map((value) => ({ value, label: FORMATS[value] })),
      },
      { name: 'dryRun', label: 'Dry run', kind: 'tick', value: 'yes', hint: 'Write nothing.' },
      {
        name: 'update',
        label: 'Write to accounts that are there already',
        kind: 'tick',
        hint: 'Name, address and phones. A password that is in use here stays.',
      },
      {
        name: 'firebase',
        label: 'Firebase password hash parameters',
        kind: 'lines',
        hint: 'Only for Firebase: the JSON that its console shows.',
      },
    ],
    about: async () => ({}),
    back: () => IMPORTS_URL,
    async act({ actor }, _, { fields }) {
      return { to: url(await transfers.begin(actor, wantedOf(fields))) }
    },
  })

  router.get(
    `${IMPORTS_URL}/:job`,
    door.page('people.import', async (ctx, who) => {
      const job = await transfers.job(who.actor, jobOf(ctx))
      const { after } = query.parse(ctx.query)
      const failures = await transfers.failures(who.actor, job.id, after, FAILURES_SHOWN)
      const last = failures.at(-1)
      pages.show(ctx, who, 'import', {
        job,
        format: FORMATS[job.format],
        percent: job.bytesTotal > 0 ? Math.floor((job.bytesDone * 100) / job.bytesTotal) : 0,
        running: job.state === 'waiting' || job.state === 'running',
        failures,
        next:
          last && failures.length === FAILURES_SHOWN ? `${url(job.id)}?after=${last.line}` : null,
        mostMegabytes: UPLOAD_BYTES / 1024 / 1024,
      })
    }),
  )

  router.post(
    `${IMPORTS_URL}/:job/file`,
    door.upload('people.import', async (ctx, { actor }, assertToken) => {
      assertOwnOrigin(ctx, issuer)
      // In the address, since it must be known before the file is read.
      assertToken(ctx.query.form_token)
      const id = jobOf(ctx)
      const { state, bytesTotal } = await transfers.job(actor, id)
      if (state !== 'uploading' || bytesTotal > 0)
        throw new Refusal('not_uploading', 409, 'This import has its file already.')
      let pieces = 0
      const take = (bytes: Buffer) => transfers.append(actor, id, pieces++, bytes)
      try {
        await readUpload(ctx, { most: UPLOAD_BYTES, piece: CHUNK_BYTES, take })
        await transfers.start(actor, id)
      } catch (error) {
        // Half a file is none: the next try begins anew.
        if (pieces > 0) await transfers.cancel(actor, id)
        throw error
      }
      goOn(ctx, url(id))
    }),
  )

  router.post(
    `${IMPORTS_URL}/:job/cancel`,
    door.form('people.import', async (ctx, { actor }) => {
      readStrict(ctx, {})
      await transfers.cancel(actor, jobOf(ctx))
      goOn(ctx, url(jobOf(ctx)), 'import-cancelled')
    }),
  )

  router.get(
    `${PEOPLE_URL}/:id/export`,
    door.page('people.export', async (ctx, who) => {
      if (!door.isFresh(ctx, who)) return
      const everything = await transfers.person(who.actor, idOf(ctx))
      ctx.attachment(`account-${idOf(ctx)}.json`)
      ctx.type = 'application/json'
      ctx.body = JSON.stringify(everything, null, 2)
    }),
  )
}

/** @throws Refusal when the format isn't one, or Firebase's parameters aren't as they must be */
function wantedOf(fields: Readonly<Record<string, string>>): NewImport {
  const { format = '', dryRun, update, firebase = '' } = fields
  if (!isImportFormat(format)) throw new Refusal('format', 400, 'Choose a format.')
  const project = firebase.trim() ? readFirebaseProject(firebase) : undefined
  return { format, dryRun: dryRun === 'yes', update: update === 'yes', firebase: project }
}
