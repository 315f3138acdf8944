import { createHash, pbkdf2Sync } from 'node:crypto'
import { hash as argon2Hash } from '@node-rs/argon2'
import { hash as bcryptHash } from '@node-rs/bcrypt'
import { describe, expect, test } from 'vitest'
import { commonForm, createPasswords, foreignForm } from '../../src/accounts/passwords.ts'
import { LEAST_COST } from '../support/hash-cost.ts'

/** Signer key of the sample in the README of github.com/firebase/scrypt. */
const SIGNER_KEY =
  'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=='
const passwords = createPasswords(LEAST_COST, async (id) =>
  id === 'sample' ? Buffer.from(SIGNER_KEY, 'base64') : undefined,
)

/** What others publish: name, password, hash, and where it stands. */
const VECTORS: ReadonlyArray<[name: string, password: string, hash: string]> = [
  // Django: tests/auth_tests/test_hashers.py
  [
    'Django PBKDF2',
    'lètmein',
    'pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=',
  ],
  ['Django PBKDF2 of SHA-1', 'lètmein', 'pbkdf2_sha1$10000$seasalt$oAfF6vgs95ncksAhGXOWf4Okq7o='],
  [
    'Django scrypt',
    'lètmein',
    'scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==',
  ],
  [
    'Django argon2i of before versions',
    'secret',
    'argon2$argon2i$m=8,t=1,p=1$c29tZXNhbHQ$gwQOXSNhxiOxPOA0+PY10P9QFO4NAYysnqRt1GSQLE55m+2GYDt9FEjPMHhP2Cuf0nOEXXMocVrsJAtNSsKyfg',
  ],
  [
    'Django argon2i',
    'admin',
    'argon2$argon2i$v=19$m=512,t=2,p=2$NnFZNGxmQTE1bmFV$kPPGrqD6dnRllcQeksFN+w',
  ],
  // passlib: tests/test_handlers_pbkdf2.py, tests/test_handlers_scrypt.py
  [
    'passlib PBKDF2',
    'password',
    '$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ',
  ],
  [
    'passlib PBKDF2 of SHA-1',
    'password',
    '$pbkdf2$1212$OB.dtnSEXZK8U5cgxU/GYQ$y5LKPOplRmok7CZp/aqVDVg8zGI',
  ],
  [
    'passlib PBKDF2 of SHA-512',
    'Ιωαννης',
    '$pbkdf2-sha512$1212$KkbvoKGsAIcF8IslDR6skQ$8be/PRmd88Ps8fmPowCJttH9G3vgxpG.Krjt3KT.NP6cKJ0V4Prarqf.HBwz0dCkJ6xgWnSj2ynXSV7MlvMa8Q',
  ],
  [
    'passlib scrypt',
    'password',
    '$scrypt$ln=4,r=8,p=1$QNx4N454ppMeKmDjxyrhsh7Q/PYBQw$zeGG+tsAueRzkvXfE1/F58KOKFEFfI0KpBYwE/3ZUWg',
  ],
  // crypt_blowfish: wrapper.c
  ['bcrypt $2a$', 'U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['bcrypt $2y$', 'U*U', '$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['Django bcrypt', 'U*U', 'bcrypt$$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  // What Keycloak 26 stores by default, in PHC form.
  [
    'Keycloak argon2id',
    'secret',
    '$argon2id$v=19$m=7168,t=5,p=1$LRScGShC7shkdoU5B1UgUQ$xKjWvB9+0sSP6wTqI1JoEI7w+iA0x9VDhPgmrOHRG80',
  ],
  // firebase/scrypt: README
  [
    'Firebase scrypt',
    'user1password',
    '$firebase-scrypt$k=sample,m=14,r=8$Bw==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
  ],
]

function kept(hash: string): string {
  const form = foreignForm(hash)
  if ('fault' in form) throw new Error(form.fault)
  return form.stored
}

describe('a hash from elsewhere', () => {
  test.each(VECTORS)('is checked as it is there: %s', async (_name, password, hash) => {
    const stored = kept(hash)
    expect(await passwords.verify(stored, password)).toBe(true)
    expect(await passwords.verify(stored, `${password}z`)).toBe(false)
    expect(passwords.isOutdated(stored)).toBe(true)
  })

  test('in PHC form of PBKDF2, with and without the length', async () => {
    const salt = Buffer.from('a salt of theirs')
    const key = pbkdf2Sync('lètmein', salt, 5000, 32, 'sha256')
    const bare = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
    for (const cost of ['i=5000', 'i=5000,l=32']) {
      const stored = kept(`$pbkdf2-sha256$${cost}$${bare(salt)}$${bare(key)}`)
      expect(await passwords.verify(stored, 'lètmein')).toBe(true)
      expect(await passwords.verify(stored, 'letmein')).toBe(false)
    }
  })

  test('of Django’s bcrypt over SHA-256 looks at every byte, and bcrypt itself at 72', async () => {
    const long = 'x'.repeat(72)
    const hex = createHash('sha256').update(`${long}a`).digest('hex')
    const whole = kept(`bcrypt_sha256$${await bcryptHash(hex, 4)}`)
    expect(await passwords.verify(whole, `${long}a`)).toBe(true)
    expect(await passwords.verify(whole, `${long}b`)).toBe(false)
    const cut = kept(await bcryptHash(`${long}a`, 4))
    expect(await passwords.verify(cut, `${long}b`)).toBe(true)
    expect(await passwords.verify(cut, `${long.slice(1)}b`)).toBe(false)
  })

  test('is of what was typed there: the spelling of two keyboards', async () => {
    const decomposed = 'le\u0300tmein and\u00a0more'
    const composed = 'lètmein and more'
    const ofTyped = kept(await bcryptHash(decomposed, 4))
    const ofOurs = kept(await bcryptHash(composed, 4))
    expect(await passwords.verify(ofTyped, decomposed)).toBe(true)
    expect(await passwords.verify(ofOurs, decomposed)).toBe(true)
    expect(await passwords.verify(await passwords.hash(decomposed), composed)).toBe(true)
  })

  test('of argon2 is told from our own, also where it was made as ours are', async () => {
    const settings = { memoryCost: 8, timeCost: 1, parallelism: 1, algorithm: 2 }
    const theirs = await argon2Hash('a password', settings)
    expect(passwords.isOutdated(theirs)).toBe(false)
    const stored = kept(theirs)
    expect(passwords.isOutdated(stored)).toBe(true)
    expect(await passwords.verify(stored, 'a password')).toBe(true)
    expect(commonForm(stored)).toBe(theirs)
  })
})

const B64 = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
describe('a hash that isn’t kept', () => {
  test.each([
    [
      'argon2 of half a gigabyte',
      `$argon2id$v=19$m=524288,t=1,p=1$c29tZXNhbHQ$${B64}`,
      'costs more',
    ],
    ['argon2 of many passes', `$argon2id$v=19$m=65536,t=17,p=1$c29tZXNhbHQ$${B64}`, 'costs more'],
    ['argon2 of many lanes', `$argon2id$v=19$m=65536,t=1,p=64$c29tZXNhbHQ$${B64}`, 'costs more'],
    [
      'bcrypt of cost 16',
      '$2b$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
      'costs more',
    ],
    ['scrypt of two gigabytes', `$scrypt$ln=21,r=8,p=1$c29tZXNhbHQ$${B64}`, 'costs more'],
    ['scrypt of many lanes', `$scrypt$ln=10,r=8,p=17$c29tZXNhbHQ$${B64}`, 'costs more'],
    ['Django scrypt with an N that is none', `scrypt$16383$salt$8$1$${B64}=`, "can't be read"],
    ['PBKDF2 of ten million rounds', `$pbkdf2-sha256$10000000$c29tZXNhbHQ$${B64}`, 'costs more'],
    [
      'PBKDF2 of few rounds and a long output',
      `pbkdf2_sha1$1000000$salt$${'A'.repeat(168)}`,
      'costs more',
    ],
    ['PBKDF2 without a hash', 'pbkdf2_sha256$10000$seasalt$', "can't be read"],
    ['PBKDF2 with a hash that anything meets', 'pbkdf2_sha256$10000$seasalt$AA==', "can't be read"],
    [
      'Firebase with a cost that is none',
      `$firebase-scrypt$k=a,m=99,r=8$Bw==$AAAA$${B64}=`,
      'costs more',
    ],
    ['bcrypt that was cut', '$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5', "can't be read"],
    [
      'the broken $2x$',
      '$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
      "can't be read",
    ],
    ['MD5', '5f4dcc3b5aa765d61d8327deb882cf99', 'of no kind'],
    ['a password as it is typed', 'hunter2', 'of no kind'],
    ['something endless', `$argon2id$${'x'.repeat(5000)}`, 'of no kind'],
  ])('%s', async (_name, hash, why) => {
    const form = foreignForm(hash)
    if (!('fault' in form)) throw new Error('it was kept')
    expect(form.fault).toContain(why)
    for (const part of hash.split('$').filter((one) => one.length > 16))
      expect(form.fault).not.toContain(part)
    // Where one got into the database all the same, nobody signs in with it.
    expect(await passwords.verify(hash, 'hunter2')).toBe(false)
  })
})
