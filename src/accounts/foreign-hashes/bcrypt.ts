import { createHash, createHmac } from 'node:crypto'
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

/**
 * passlib's bcrypt of the base64 of a keyed SHA-256, the salt being the key
 * (`$bcrypt-sha256$v=2,t=2b,r=12$SALT$HASH`), and of a plain SHA-256 before 1.7.3 (`$bcrypt-sha256$2b,12$SALT$HASH`).
 */
export const passlibBcryptSha256: Scheme = {
  name: 'bcrypt-sha256',
  begins: /^\$bcrypt-sha256\$/,

  read(stored) {
    const [, keyed, kind, cost = '', salt = '', hash = ''] =
      /^\$bcrypt-sha256\$(v=2,t=)?(2[aby]),(?:r=)?(\d{1,2})\$([^$]{22})\$([^$]{31})$/.exec(
        stored,
      ) ?? []
    const digest = () => (keyed ? createHmac('sha256', salt) : createHash('sha256'))
    return readBcrypt(`$${kind}$${cost.padStart(2, '0')}$${salt}${hash}`, (password) =>
      digest().update(password).digest('base64'),
    )
  },
}

function readBcrypt(stored: string, prepared: (password: string) => string): Check | HashFault {
  const [, cost] = FORM.exec(stored) ?? []
  if (cost === undefined || Number(cost) < 4) return 'malformed'
  if (Number(cost) > COST_MOST) return 'too-costly'
  return (password) => verify(prepared(password), stored)
}
