import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Config, Secrets } from './config.ts'

const keyFile = z.object({ encryptionKey: z.string(), cookieKey: z.string() })

/** Secrets with nothing missing. */
export type CompleteSecrets = Secrets &
  Required<{ [K in 'encryptionKeys' | 'cookieKeys']: NonNullable<Secrets[K]> }>

/**
 * Fills in the keys a development environment doesn't set, from a file in DATA_DIR that only its owner
 * can read; the first start makes it. Production never gets here without its keys.
 *
 * @param announce called with a sentence when the file is made
 */
export function completeSecrets(
  config: Config,
  secrets: Secrets,
  announce: (sentence: string) => void,
): CompleteSecrets {
  const { encryptionKeys, cookieKeys } = secrets
  if (encryptionKeys && cookieKeys) return { ...secrets, encryptionKeys, cookieKeys }
  const generated = readOrMake(config.dataDir, announce)
  return {
    ...secrets,
    encryptionKeys: encryptionKeys ?? [Buffer.from(generated.encryptionKey, 'base64')],
    cookieKeys: cookieKeys ?? [generated.cookieKey],
  }
}

function readOrMake(
  dataDir: string,
  announce: (sentence: string) => void,
): z.output<typeof keyFile> {
  const file = join(dataDir, 'development-keys.json')
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const fresh = {
    encryptionKey: randomBytes(32).toString('base64'),
    cookieKey: randomBytes(32).toString('base64'),
  }
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify(fresh, null, 2)}\n`, { mode: 0o600 })
  try {
    // A link appears whole or not at all: of processes that start together one wins, the others read its keys.
    linkSync(draft, file)
    announce(
      `Made development keys in ${file}. Production sets ENCRYPTION_KEYS and COOKIE_KEYS instead.`,
    )
    return fresh
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    return keyFile.parse(JSON.parse(readFileSync(file, 'utf8')))
  } finally {
    unlinkSync(draft)
  }
}
