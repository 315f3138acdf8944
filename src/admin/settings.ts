import { sql } from 'kysely'
import type { Config } from '../config/config.ts'
import { type SettingGroup, settingsOf } from '../config/settings.ts'
import type { Db } from '../db/schema.ts'
import { ownVersion } from '../version.ts'
import { type Actor, assertMay } from './permissions.ts'

export type Settings = ReturnType<typeof createSettings>

/** How the service runs, as admins see it. It is given no secret, so it can't show one. */
export interface Running {
  /** of Sallyport */
  version: string
  node: string
  database: string
  groups: readonly SettingGroup[]
}

export function createSettings({ db, config }: { db: Db; config: Config }) {
  const version = ownVersion()
  const groups = settingsOf(config)
  const kind = config.given.includes('DATABASE_URL') ? 'PostgreSQL' : 'embedded PostgreSQL'

  return {
    async look(actor: Actor): Promise<Running> {
      assertMay(actor, 'settings.read')
      const { rows } = await sql<{ server_version: string }>`show server_version`.execute(db)
      const database = `${kind} ${rows[0]?.server_version ?? ''}`.trim()
      return { version, node: process.version, database, groups }
    },
  }
}
