import { createHash } from 'node:crypto'
import { verify } from '@node-rs/bcrypt'
import type { Check, HashFault, Scheme } from './scheme.ts'

/** About two seconds; one more would be four. */
const COST_MOST = 15
const FORM = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

/**
 * bcrypt as everyone writes it (`$2a$`, `$2b$`, `$2y$`), also behind Django's `bcrypt$`. It looks at 72 bytes of a
 * password and no more, as it did where the hash was made.
 */
export const bcrypt: Scheme = {
  name: 'bcrypt',
  begins: /^(bcrypt\$)?\$2/,
  read: (stored) => readBcrypt(stored.replace(/^bcrypt\$/, ''), (password) => password),
}

/** Django's bcrypt of the hexadecimal SHA-256 of a password, which leaves nothing out. */
export const bcryptSha256: Scheme = {
  name: 'bcrypt_sha256',
  begins: /^bcrypt_sha256\$/,
  read: (stored) =>
    readBcrypt(stored.replace(/^bcrypt_sha256\$/, ''), (password) =>
      createHash('sha256').update(password).digest('hex'),
    ),
}

function readBcrypt(stored: string, prepared: (password: string) => string): Check | HashFault {
  const [, cost] = FORM.exec(stored) ?? []
  if (cost === undefined || Number(cost) < 4) return 'malformed'
  if (Number(cost) > COST_MOST) return 'too-costly'
  return (password) => verify(prepared(password), stored)
}
