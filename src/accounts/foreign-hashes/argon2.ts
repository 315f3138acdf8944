import { parseOptions, verify } from '@node-rs/argon2'
import type { Check, HashFault, Scheme } from './scheme.ts'

/** In KiB. libsodium's “moderate” setting, 256 MiB, is the most in use. */
const MEMORY_MOST = 262_144
/** Memory times passes, in KiB: about a second. */
const WORK_MOST = 1_048_576
const LANES_MOST = 16

/** argon2 in PHC form (`$argon2id$…`), our own and others', and as Django writes it (`argon2$argon2id$…`). */
export const argon2: Scheme = {
  name: 'argon2',
  begins: /^(argon2)?\$argon2/,

  read(stored): Check | HashFault {
    const phc = stored.replace(/^argon2\$/, '$')
    try {
      const { memoryCost, timeCost, parallelism, outputLen } = parseOptions(phc)
      if (outputLen < 16) return 'malformed'
      if (memoryCost > MEMORY_MOST || parallelism > LANES_MOST) return 'too-costly'
      if (memoryCost * timeCost > WORK_MOST) return 'too-costly'
    } catch {
      return 'malformed'
    }
    return (password) => verify(phc, password)
  },
}
