import { env } from 'node:process'
import { startBare } from './bare.ts'

/** The bare provider as a process of its own. */
await startBare({ port: Number(env.PORT), databaseUrl: env.DATABASE_URL ?? '' })
