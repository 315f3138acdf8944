import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { deriveKey } from '../src/crypto/keys.ts'
import { createVault, VaultError } from '../src/crypto/vault.ts'

const [first, second] = [randomBytes(32), randomBytes(32)]
const place = { column: 'phone.number', row: 'one' }

describe('the vault', () => {
  test('opens what it sealed, and only in its place (CRY-02)', () => {
    const vault = createVault([first])
    const sealed = vault.seal('+46701234567', place)
    expect(vault.open(sealed, place).toString()).toBe('+46701234567')
    expect(() => vault.open(sealed, { ...place, row: 'two' })).toThrow(VaultError)
    expect(() => vault.open(sealed, { ...place, column: 'phone.hotp_secret' })).toThrow(VaultError)
  })

  test('one flipped bit anywhere and it stays shut (CRY-06)', () => {
    const vault = createVault([first])
    const sealed = vault.seal('secret', place)
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed)
      changed.writeUInt8((changed[i] ?? 0) ^ 1, i)
      expect(() => vault.open(changed, place)).toThrow(VaultError)
    }
    expect(() => vault.open(Buffer.alloc(0), place)).toThrow(VaultError)
  })

  test('keys rotate: the first seals, all open (CRY-04)', () => {
    const sealed = createVault([first]).seal('secret', place)
    expect(createVault([second, first]).open(sealed, place).toString()).toBe('secret')
    expect(() => createVault([second]).open(sealed, place)).toThrow(/not among ENCRYPTION_KEYS/)
  })

  test('the same value never looks the same twice (CRY-03)', () => {
    const vault = createVault([first])
    const seen = new Set(Array.from({ length: 1000 }, () => vault.seal('x', place).toString('hex')))
    expect(seen.size).toBe(1000)
  })

  test('each purpose has a key of its own (CRY-13)', () => {
    const keys = ['seal/a', 'seal/b', 'fingerprint/phone', 'form-token'].map((purpose) =>
      deriveKey(first, purpose).toString('hex'),
    )
    expect(new Set(keys).size).toBe(keys.length)
  })
})
