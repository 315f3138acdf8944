import type { Audit } from '../audit/audit.ts'
import type { AuditFilter, AuditPlace } from '../audit/search.ts'
import { type Actor, assertMay } from './permissions.ts'

export type Trail = ReturnType<typeof createTrail>

/** The audit trail, for those who may read it. */
export function createTrail({ audit }: { audit: Audit }) {
  return {
    /** Newest first. @param after the last event of the page before */
    search(actor: Actor, filter: AuditFilter, after: AuditPlace | undefined, limit: number) {
      assertMay(actor, 'audit.read')
      return audit.search(filter, after, limit)
    },

    /** Oldest first, read as fast as it is taken. */
    export(actor: Actor, filter: AuditFilter) {
      assertMay(actor, 'audit.read')
      return audit.export(filter)
    },
  }
}
