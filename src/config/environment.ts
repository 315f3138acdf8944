import { existsSync } from 'node:fs'

/** The process environment, with a `.env` file in the working directory read in. Nothing else looks at `process.env`. */
export function environment(): Readonly<Record<string, string | undefined>> {
  if (existsSync('.env')) process.loadEnvFile('.env')
  return process.env
}
