import type { AdapterPayload } from 'oidc-provider'
import { hashToken } from '../crypto/keys.ts'
import type { Vault } from '../crypto/vault.ts'
import { sealedTable } from '../db/sealed-table.ts'

export type SealedRecords = ReturnType<typeof createSealedRecords>

export const SEALED_RECORDS = sealedTable('oidc_record', {
  key: { key: 'bytea' },
  columns: ['payload'],
})

/** Where a sign-in was done, for the person to know it again. */
export interface Place {
  address: string
  /** as in "Firefox on Windows" */
  browser: string
}

/** What the provider stores, and what we add to it. */
export interface StoredPayload extends AdapterPayload {
  /** of a session: where its last sign-in was done */
  place?: Place | undefined
}

/** A record as the provider stores it, under the hash of its model and id. */
export interface PendingRecord {
  key: Buffer
  model: string
  payload: StoredPayload
  /** seconds from now; undefined never expires */
  expiresIn: number | undefined
  /** of a grant: the session it was given in, which the provider doesn't tell */
  givenIn: string | undefined
  /** keyed hash of the code that a device shows */
  userCodeKey?: Buffer | undefined
}

/**
 * Records that name a grant but aren't given by it. When someone else signs in in a browser, the first
 * person's grants are revoked while the interaction that brings the second one in is still open (SES-10).
 */
export const OUTLIVING_GRANTS = ['Interaction']
export const endsWithGrant = (model: string) => !OUTLIVING_GRANTS.includes(model)

/** Keys by which a record is found; hashes, so that the table gives nobody a token to present (CRY-09). */
export const recordKey = (model: string, id: string) => hashToken(id, model)
export const uidKey = (uid: string) => hashToken(uid, 'uid')

/** Records as the table `oidc_record` holds them: sealed, with hashes beside to find and to end them by. */
export function createSealedRecords(vault: Vault) {
  const place = (key: Buffer) => ({ column: 'oidc_record.payload', row: key.toString('hex') })

  return {
    open(key: Buffer, sealed: Buffer, consumedAt: Date | null): StoredPayload {
      const payload: StoredPayload = JSON.parse(vault.open(sealed, place(key)).toString())
      return consumedAt
        ? { ...payload, consumed: Math.floor(consumedAt.getTime() / 1000) }
        : payload
    },

    columnsOf({ key, model, payload, expiresIn, givenIn, userCodeKey }: PendingRecord) {
      const sessionUid = payload.sessionUid ?? payload.session?.uid ?? givenIn
      return {
        key,
        model,
        payload: vault.seal(JSON.stringify(payload), place(key)),
        client_id: payload.clientId ?? asText(payload.params?.client_id),
        account_id:
          payload.accountId ??
          payload.result?.login?.accountId ??
          payload.session?.accountId ??
          null,
        grant_key: payload.grantId ? recordKey('Grant', payload.grantId) : null,
        uid_key: model === 'Session' && payload.uid ? uidKey(payload.uid) : null,
        session_uid_key: sessionUid ? uidKey(sessionUid) : null,
        user_code_key: userCodeKey ?? null,
        expires_in: expiresIn ?? null,
      }
    },
  }
}

function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
