import { SEALED_ANSWERS } from './admin/idempotency.ts'
import { SEALED_WEBHOOKS } from './alerts/webhook-shapes.ts'
import type { SealedTable } from './db/sealed-table.ts'
import { SEALED_NOTICES } from './messaging/notices.ts'
import { SEALED_CLIENTS } from './oidc/client-secrets.ts'
import { SEALED_SIGNING_KEYS } from './oidc/key-making.ts'
import { SEALED_RECORDS } from './oidc/sealed-records.ts'
import { SEALED_AUTHENTICATORS } from './second-factor/authenticators.ts'
import { SEALED_PHONES } from './second-factor/phone-columns.ts'
import { SEALED_CHUNKS } from './transfer/uploads.ts'

/** All that is sealed, as its rooms declare it, but for the keyring: that one is sealed anew last, and apart. */
export const SEALED_TABLES: readonly SealedTable[] = [
  SEALED_SIGNING_KEYS,
  SEALED_CLIENTS,
  SEALED_WEBHOOKS,
  SEALED_AUTHENTICATORS,
  SEALED_PHONES,
  SEALED_NOTICES,
  SEALED_ANSWERS,
  SEALED_CHUNKS,
  SEALED_RECORDS,
]
