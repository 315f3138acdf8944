import type { Fingerprints } from '../crypto/fingerprints.ts'
import type { Vault } from '../crypto/vault.ts'
import { sealedTable } from '../db/sealed-table.ts'
import { type ParsedPhone, prefixOf } from '../phone-number.ts'

export const SEALED_PHONES = sealedTable('phone', {
  key: { id: 'text' },
  columns: ['number', 'hotp_secret'],
})

/** A number as the table `phone` holds it: sealed, and as keyed fingerprints of itself and of its block. */
export function createPhoneColumns({
  vault,
  fingerprint,
}: {
  vault: Vault
  fingerprint: Fingerprints
}) {
  return (id: string, { number }: Pick<ParsedPhone, 'number'>) => ({
    sealed: vault.seal(number, { column: 'phone.number', row: id }),
    whole: fingerprint('phone', number),
    prefix: fingerprint('phone-prefix', prefixOf(number)),
  })
}
