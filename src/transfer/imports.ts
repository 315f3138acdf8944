import { createAccountImport } from '../accounts/account-import.ts'
import type { SignerKeys } from '../accounts/signer-keys.ts'
import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Vault } from '../crypto/vault.ts'
import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { Refusal } from '../errors.ts'
import type { PhoneChanges } from '../second-factor/phone-changes.ts'
import { createPhoneImport } from '../second-factor/phone-import.ts'
import type { Sharing } from '../second-factor/phone-sharing.ts'
import { createClaims, FAILURES_KEPT } from './claims.ts'
import type { FirebaseProject } from './firebase.ts'
import type { ImportFormat } from './formats.ts'
import type { ImportJob, ImportOptions } from './job.ts'
import { createJobs } from './jobs.ts'
import { createRunner, type Progress } from './runner.ts'
import { fileSource } from './source.ts'
import { createUploads } from './uploads.ts'
import type { Failure } from './write-batch.ts'

export type Imports = ReturnType<typeof createImports>

export interface NewImport {
  format: ImportFormat
  /** reads and judges every row, and writes none */
  dryRun: boolean
  /** whether accounts that are there already are written to */
  update: boolean
  /** of the project that hashes with a salt beside them come from */
  firebase?: FirebaseProject | undefined
}

interface Dependencies {
  db: Db
  clock: Clock
  vault: Vault
  fingerprint: Fingerprints
  signerKeys: SignerKeys
  phoneChanges: Pick<PhoneChanges, 'add'>
  sharing: Sharing
  allowedCountries: ReadonlySet<string> | '*'
  defaultCountry: string | undefined
}

const LISTED_MOST = 100

/** Accounts by the thousand, out of a file or of content that was handed over in pieces. */
export function createImports(deps: Dependencies) {
  const { db, signerKeys, allowedCountries, defaultCountry } = deps
  const jobs = createJobs(deps)
  const claims = createClaims(deps)
  const uploads = createUploads(deps)
  const runner = createRunner({
    db,
    claims,
    accountImport: createAccountImport(deps),
    phoneImport: createPhoneImport(deps),
    phoneChanges: deps.phoneChanges,
    signerKeys,
    rules: { allowedCountries, defaultCountry },
  })

  async function optionsOf({ update, firebase }: NewImport): Promise<ImportOptions> {
    if (!firebase) return { update }
    const { signerKey, ...rest } = firebase
    return { update, firebase: { keyId: await signerKeys.keep(signerKey), ...rest } }
  }

  async function job(id: string): Promise<ImportJob> {
    const found = await jobs.find(id)
    if (!found) throw new Refusal('no_import', 404, 'There is no such import.')
    return found
  }

  return {
    /** Begins an import whose content is handed over by `append`. @returns its id */
    async begin(wanted: NewImport): Promise<string> {
      const { format, dryRun } = wanted
      const options = await optionsOf(wanted)
      return jobs.add({ source: 'upload', format, dryRun, options })
    },

    append: uploads.append,

    /** Lets what was handed over be worked off, in the background and by any instance. */
    start: uploads.start,

    /** @throws Refusal when there is none */
    job,

    /** The newest hundred. */
    list: (): Promise<ImportJob[]> => jobs.list(LISTED_MOST),

    /** What was wrong with which row: the first ten thousand, page by page. @param after line of the last one seen, or 0 */
    failures: (
      id: string,
      { after, limit }: { after: number; limit: number },
    ): Promise<Failure[]> => jobs.failures(id, after, Math.min(limit, FAILURES_KEPT)),

    /** Stops an import. Rows that are written stay. @returns false when it is over already */
    cancel: jobs.cancel,

    sweep: jobs.sweep,

    /**
     * Imports a file in this process.
     * @param resume goes on with an import of the same file that was broken off
     * @throws Refusal when there is none to go on with, or no such file
     */
    async importFile(
      path: string,
      { resume, ...wanted }: NewImport & { resume: boolean },
      onProgress?: (progress: Progress) => void,
    ): Promise<ImportJob> {
      const source = await fileSource(path)
      const { fingerprint, size: bytesTotal } = source
      const { format, dryRun } = wanted
      const left = resume ? await jobs.findUnfinished(fingerprint, format) : undefined
      if (resume && left === undefined) {
        throw new Refusal(
          'nothing_to_resume',
          409,
          'No import of this file was broken off. Leave out --resume to begin one.',
        )
      }
      const id =
        left ??
        (await jobs.add({
          source: 'file',
          format,
          dryRun,
          fingerprint,
          bytesTotal,
          options: await optionsOf(wanted),
        }))
      const claimed = await claims.take(id)
      if (!claimed) throw new Refusal('no_import', 409, 'This import was cancelled.')
      await runner.run(claimed, source, { onProgress })
      return job(id)
    },

    /**
     * Works off one upload that is due.
     * @param signal stops it, and leaves the rest to whoever comes next
     * @returns whether there was one
     */
    async workOff(signal?: AbortSignal): Promise<boolean> {
      const claimed = await claims.takeDue()
      if (!claimed) {
        await claims.giveUp()
        return false
      }
      try {
        await runner.run(claimed, uploads.sourceOf(claimed.id, claimed.bytesTotal), { signal })
      } catch (error) {
        if (!signal?.aborted) throw error
        await claims.leave(claimed)
      }
      return true
    },
  }
}
