import type { SigningKey, SigningKeys } from '../oidc/keys.ts'
import { type Actor, asActor, assertMay } from './permissions.ts'

export type Keys = ReturnType<typeof createKeys>

/** The keys that ID tokens are signed with, as admins see and change them: never a private part. */
export function createKeys({ signingKeys }: { signingKeys: SigningKeys }) {
  return {
    async list(actor: Actor): Promise<SigningKey[]> {
      assertMay(actor, 'keys.read')
      return signingKeys.list()
    },

    /**
     * @param now for keys in wrong hands: all others are withdrawn at once, with what they signed
     * @returns the keys as they are then
     */
    async rotate(
      actor: Actor,
      { now, reason }: { now: boolean; reason: string },
    ): Promise<SigningKey[]> {
      assertMay(actor, 'keys.write')
      return asActor(actor, reason, () => signingKeys.rotate({ now }))
    },
  }
}
