import type { webcrypto } from 'node:crypto'
import { vi } from 'vitest'
import * as passwords from '../../src/accounts/passwords.ts'
import * as cookies from '../../src/crypto/cookie-signatures.ts'
import * as vaults from '../../src/crypto/vault.ts'
import * as messengers from '../../src/messaging/messenger.ts'
import * as codes from '../../src/second-factor/hotp.ts'
import * as templates from '../../src/web/templates.ts'

export type Part =
  | 'opening a record'
  | 'opening a secret'
  | 'opening a number'
  | 'verifying a password'
  | 'computing a code'
  | 'sending a message'
  | 'drawing a page'
  | 'signing a cookie'
  | 'judging a cookie'
  | 'signing an ID token'

const OPENED: Readonly<Record<string, Part>> = {
  'phone.hotp_secret': 'opening a secret',
  'phone.number': 'opening a number',
}

/** What a broken part says, which is for nobody outside. */
export const FAULT = 'a part broke on purpose'

export type BreakableParts = ReturnType<typeof makePartsBreakable>

/**
 * Lets parts of the houses that are started from now on be broken, by a function of theirs that throws.
 * `vi.restoreAllMocks` ends it.
 */
export function makePartsBreakable() {
  let broken: Part | undefined
  const met = new Set<Part>()

  function meet(part: Part): void {
    met.add(part)
    if (part === broken) throw new Error(FAULT)
  }
  const breakable =
    <Args extends unknown[], Result>(part: Part, work: (...args: Args) => Result) =>
    (...args: Args): Result => {
      meet(part)
      return work(...args)
    }

  const { createVault } = vaults
  vi.spyOn(vaults, 'createVault').mockImplementation((...args) => {
    const vault = createVault(...args)
    return {
      ...vault,
      open(sealed, place) {
        meet(OPENED[place.column] ?? 'opening a record')
        return vault.open(sealed, place)
      },
    }
  })
  const { createPasswords } = passwords
  vi.spyOn(passwords, 'createPasswords').mockImplementation((...args) => {
    const made = createPasswords(...args)
    return {
      ...made,
      async verify(...given) {
        meet('verifying a password')
        return made.verify(...given)
      },
    }
  })
  const { hotp } = codes
  vi.spyOn(codes, 'hotp').mockImplementation(breakable('computing a code', hotp))
  const { createMessenger } = messengers
  vi.spyOn(messengers, 'createMessenger').mockImplementation((deps) => {
    const messenger = createMessenger(deps)
    return {
      ...messenger,
      async send(request) {
        meet('sending a message')
        return messenger.send(request)
      },
    }
  })
  const { createTemplates } = templates
  vi.spyOn(templates, 'createTemplates').mockImplementation((...args) =>
    breakable('drawing a page', createTemplates(...args)),
  )
  const { createCookieSignatures } = cookies
  vi.spyOn(cookies, 'createCookieSignatures').mockImplementation((keys) => {
    const { sign, index, verify } = createCookieSignatures(keys)
    return {
      sign: breakable('signing a cookie', sign),
      index: breakable('judging a cookie', index),
      verify: breakable('judging a cookie', verify),
    }
  })
  const { sign } = SubtleCrypto.prototype
  vi.spyOn(SubtleCrypto.prototype, 'sign').mockImplementation(async function signed(
    this: webcrypto.SubtleCrypto,
    ...args
  ) {
    meet('signing an ID token')
    return sign.apply(this, args)
  })

  return {
    /** What comes of work while a part is broken, and which parts it met. */
    async during<T>(part: Part | undefined, work: () => Promise<T>) {
      met.clear()
      broken = part
      try {
        return { answer: await work(), met: [...met].toSorted() }
      } finally {
        broken = undefined
      }
    },
  }
}
