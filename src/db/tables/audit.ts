import type { ColumnType, Generated } from 'kysely'

export interface AuditEventTable {
  id: Generated<string>
  at: Date
  type: string
  /** `self`, `system`, `command-line`, or who else acted, with an id */
  actor: string
  account_id: string | null
  client_id: string | null
  request_id: string | null
  /** fingerprint of the client's address: tells that two events came from one place, not from which */
  address: string | null
  detail: ColumnType<Record<string, unknown>, string | undefined, never>
}
