import { sql } from 'kysely'
import type { Vault } from '../crypto/vault.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { sealedTable } from '../db/sealed-table.ts'
import { Refusal } from '../errors.ts'
import type { Source } from './source.ts'

export const CHUNK_BYTES = 1024 * 1024
export const UPLOAD_BYTES = 64 * 1024 * 1024

export const SEALED_CHUNKS = sealedTable('import_chunk', {
  key: { job_id: 'text', seq: 'int4' },
  columns: ['content'],
  // A megabyte each.
  rowsAtOnce: 4,
})

interface Dependencies {
  db: Db
  clock: Clock
  vault: Vault
}

/** Content of imports that was handed over in pieces: sealed, and gone once it was worked off. */
export function createUploads({ db, clock, vault }: Dependencies) {
  const place = (id: string, seq: number) => ({
    column: 'import_chunk.content',
    row: `${id}/${seq}`,
  })

  async function whyNot(id: string, seq: number): Promise<Refusal | undefined> {
    const job = await db
      .selectFrom('import_job')
      .select(['state', 'chunks'])
      .where('id', '=', id)
      .where('source', '=', 'upload')
      .executeTakeFirst()
    if (!job) return new Refusal('no_import', 404, 'There is no such import.')
    if (job.state !== 'uploading')
      return new Refusal('not_uploading', 409, 'This import takes no more content.')
    // The answer to the first time was lost on its way.
    if (seq < job.chunks) return undefined
    if (seq > job.chunks)
      return new Refusal('out_of_order', 409, `The next piece of this import is ${job.chunks}.`)
    return new Refusal('too_large', 413, `An import has at most ${UPLOAD_BYTES} bytes.`)
  }

  return {
    /**
     * Takes the next piece; one that was taken already is passed over.
     * @param seq counted from 0
     * @throws Refusal when it is too large, out of order, or the import takes none
     */
    async append(id: string, seq: number, bytes: Buffer): Promise<void> {
      if (bytes.length === 0 || bytes.length > CHUNK_BYTES)
        throw new Refusal('chunk', 413, `A piece has 1 to ${CHUNK_BYTES} bytes.`)
      const { rows } = await sql`
        with taken as (
          update import_job set chunks = chunks + 1, bytes_total = bytes_total + ${bytes.length}, updated_at = ${clock()}
          where id = ${id} and source = 'upload' and state = 'uploading' and chunks = ${seq}
            and bytes_total + ${bytes.length} <= ${UPLOAD_BYTES}
          returning id
        )
        insert into import_chunk (job_id, seq, content)
        select id, ${seq}, ${vault.seal(bytes, place(id, seq))}::bytea from taken
        returning job_id`.execute(db)
      if (rows.length > 0) return
      const refusal = await whyNot(id, seq)
      if (refusal) throw refusal
    },

    /** @throws Refusal when nothing was handed over, or it was started already */
    async start(id: string): Promise<void> {
      const { numUpdatedRows } = await db
        .updateTable('import_job')
        .set({ state: 'waiting', updated_at: clock() })
        .where('id', '=', id)
        .where('state', '=', 'uploading')
        .where('chunks', '>', 0)
        .executeTakeFirst()
      if (numUpdatedRows > 0n) return
      throw new Refusal('not_uploading', 409, 'This import has no content yet, or was started.')
    },

    sourceOf: (id: string, size: number): Source => ({
      size,
      async *read(from) {
        let byte = 0
        for (let seq = 0; ; seq++) {
          const row = await db
            .selectFrom('import_chunk')
            .select('content')
            .where('job_id', '=', id)
            .where('seq', '=', seq)
            .executeTakeFirst()
          if (!row) return
          const bytes = vault.open(row.content, place(id, seq))
          if (byte + bytes.length > from) yield bytes.subarray(Math.max(0, from - byte))
          byte += bytes.length
        }
      },
    }),
  }
}
