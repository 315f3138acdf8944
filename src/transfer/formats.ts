import { readCsv } from './csv.ts'
import { firebaseUser } from './firebase.ts'
import { readJsonLines } from './json-lines.ts'
import { keycloakUser } from './keycloak.ts'
import type { Source } from './source.ts'
import type { Item, Position } from './text.ts'
import { readUsers } from './users-json.ts'

/** Reads on from a position. @throws Refusal when the rest can't be read */
type Read = (source: Source, from: Position) => AsyncGenerator<Item>

const READERS = {
  csv: readCsv,
  jsonl: readJsonLines,
  keycloak: (source, from) => readUsers(source, from, keycloakUser),
  firebase: (source, from) => readUsers(source, from, firebaseUser),
} satisfies Record<string, Read>

export type ImportFormat = keyof typeof READERS
export const IMPORT_FORMATS: readonly ImportFormat[] = ['csv', 'jsonl', 'keycloak', 'firebase']

export function isImportFormat(text: string): text is ImportFormat {
  return Object.hasOwn(READERS, text)
}

export const readerOf = (format: ImportFormat): Read => READERS[format]
