import { z } from 'zod'
import type { Actor } from '../../admin/permissions.ts'
import type { Transfers } from '../../admin/transfers.ts'
import { exportLines } from '../../transfer/export-lines.ts'
import { readFirebaseProject } from '../../transfer/firebase.ts'
import { IMPORT_FORMATS } from '../../transfer/formats.ts'
import { CHUNK_BYTES, UPLOAD_BYTES } from '../../transfer/uploads.ts'
import { EXPORT_FORMATS, EXPORT_TYPES } from './event-lines.ts'
import { bytesRoute, type Route, route, streamRoute } from './route.ts'
import { accountId, id, time } from './schemas.ts'

const tag = 'imports and exports'

const wanted = z
  .strictObject({
    format: z.enum(IMPORT_FORMATS),
    dryRun: z.boolean().default(false).describe('reads and judges every row, and writes none'),
    update: z.boolean().default(false).describe('write to accounts that are there already, too'),
    firebase: z
      .string()
      .max(4096)
      .optional()
      .describe('password hash parameters, as the Firebase console shows them'),
  })
  .meta({ id: 'NewImport' })

const job = z
  .object({
    id: z.string(),
    source: z.enum(['file', 'upload']),
    format: z.enum(IMPORT_FORMATS),
    dryRun: z.boolean(),
    update: z.boolean(),
    state: z.enum(['uploading', 'waiting', 'running', 'done', 'failed', 'cancelled']),
    bytesTotal: z.number(),
    bytesDone: z.number(),
    created: z.int(),
    updated: z.int(),
    failed: z.int(),
    error: z.string().nullable().describe('why the rest couldn’t be read'),
    createdBy: z.string(),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: 'Import' })

const importId = z.strictObject({ id })
const piece = importId.extend({
  piece: z.coerce.number().int().min(0).max(100).describe('counted from 0, one after the other'),
})
const place = {
  after: z.coerce.number().int().min(0).default(0).describe('line of the last one seen'),
  limit: z.coerce.number().int().min(1).max(200).default(50),
}

/** Accounts coming in by the thousand, and what is kept about people going out. */
export function transferRoutes(transfers: Transfers): Route[] {
  return [
    route({
      id: 'listImports',
      tag,
      method: 'get',
      path: '/imports',
      summary: 'List the newest hundred imports',
      permission: 'people.import',
      answer: z.object({ items: z.array(job) }),
      handle: async (actor) => ({ body: { items: await transfers.list(actor) } }),
    }),
    route({
      id: 'beginImport',
      tag,
      method: 'post',
      path: '/imports',
      summary: 'Begin an import',
      description:
        'Then hand its content over piece by piece, and start it. It is worked off in the background, by any instance, and goes on where it was when that ends.',
      permission: 'people.import',
      body: wanted,
      status: 201,
      answer: job,
      refusals: [409, 422],
      async handle(actor, { body: { firebase, ...rest } }) {
        const project = firebase === undefined ? undefined : readFirebaseProject(firebase)
        const made = await transfers.begin(actor, { ...rest, firebase: project })
        return { body: await transfers.job(actor, made), location: `/imports/${made}` }
      },
    }),
    bytesRoute({
      id: 'putImportPiece',
      tag,
      path: '/imports/:id/content/:piece',
      summary: 'Hand over a piece of an import’s content',
      description: `At most ${CHUNK_BYTES} bytes each and ${UPLOAD_BYTES} in all. One that comes twice is taken once.`,
      permission: 'people.import',
      params: piece,
      bytes: CHUNK_BYTES,
      refusals: [409],
      handle: (actor, params, bytes) => transfers.append(actor, params.id, params.piece, bytes),
    }),
    route({
      id: 'startImport',
      tag,
      method: 'post',
      path: '/imports/:id/start',
      summary: 'Start an import whose content is whole',
      permission: 'people.import',
      params: importId,
      status: 202,
      answer: job,
      refusals: [409],
      handle: async (actor, { params }) => {
        await transfers.start(actor, params.id)
        return { body: await transfers.job(actor, params.id) }
      },
    }),
    route({
      id: 'getImport',
      tag,
      method: 'get',
      path: '/imports/:id',
      summary: 'Show how far an import is',
      permission: 'people.import',
      params: importId,
      answer: job,
      handle: async (actor, { params }) => ({ body: await transfers.job(actor, params.id) }),
    }),
    route({
      id: 'listImportFailures',
      tag,
      method: 'get',
      path: '/imports/:id/failures',
      summary: 'List the rows that an import refused, and why',
      permission: 'people.import',
      params: importId,
      query: z.strictObject(place),
      answer: z.object({ items: z.array(z.object({ line: z.number(), reason: z.string() })) }),
      handle: async (actor, { params, query }) => ({
        body: { items: await transfers.failures(actor, params.id, query.after, query.limit) },
      }),
    }),
    route({
      id: 'cancelImport',
      tag,
      method: 'post',
      path: '/imports/:id/cancel',
      summary: 'Stop an import; what it has written stays',
      permission: 'people.import',
      params: importId,
      answer: job,
      handle: async (actor, { params }) => ({ body: await transfers.cancel(actor, params.id) }),
    }),
    streamRoute({
      id: 'exportAccounts',
      tag,
      path: '/exports/accounts',
      summary: 'Export all accounts, as imports take them',
      description:
        'Without password hashes. In CSV, what a spreadsheet would take for a formula has an apostrophe before it.',
      permission: 'people.export',
      query: z.strictObject({ format: z.enum(EXPORT_FORMATS).default('jsonl') }),
      streams: Object.values(EXPORT_TYPES),
      handle: (actor, { format }) => ({
        type: `${EXPORT_TYPES[format]}; charset=utf-8`,
        name: `accounts.${format}`,
        parts: allAccounts(transfers, actor, format),
      }),
    }),
    route({
      id: 'exportAccount',
      tag,
      method: 'get',
      path: '/accounts/:id/export',
      summary: 'Export everything that is kept about one person',
      description: 'For somebody who asks what you know of them (GDPR, article 15).',
      permission: 'people.export',
      params: accountId,
      answer: z.record(z.string(), z.unknown()),
      handle: async (actor, { params }) => ({ body: await transfers.person(actor, params.id) }),
    }),
  ]
}

async function* allAccounts(
  transfers: Transfers,
  actor: Actor,
  format: (typeof EXPORT_FORMATS)[number],
): AsyncGenerator<string> {
  yield* exportLines(await transfers.accounts(actor), format, false)
}
