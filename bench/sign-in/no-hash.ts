import { PASSWORD } from './people.ts'

/** Stands in for `@node-rs/argon2` where the hash is to cost nothing. */
export * from '@node-rs/argon2'
export const hash = async () => 'no hash'
export const verify = async (_stored: string, password: string) => password === PASSWORD
