import type Router from '@koa/router'
import type { Keys } from '../../admin/keys.ts'
import type { Action, Confirming } from './confirming.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'

const KEYS_URL = `${CONSOLE_URL}/keys`

/** What a state means for whoever reads it. */
const STATES = {
  next: 'published, will sign',
  active: 'signs',
  retiring: 'only verifies what it signed',
} as const

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  confirm: Confirming
  keys: Keys
}

/** The keys that ID tokens are signed with, and making new ones. */
export function addKeys(router: Router, { door, pages, confirm, keys }: Dependencies): void {
  router.get(
    KEYS_URL,
    door.page('keys.read', async (ctx, who) => {
      const found = await keys.list(who.actor)
      pages.show(ctx, who, 'keys', {
        rotatesAt: found.find(({ rotatesAt }) => rotatesAt)?.rotatesAt,
        keys: found.map((key) => ({ ...key, says: STATES[key.state] })),
      })
    }),
  )

  const rotation = (now: boolean) =>
    ({
      permission: 'keys.write',
      danger: true,
      reason: 'required',
      about: async () => ({}),
      back: () => KEYS_URL,
      async act({ actor }, _, { reason }) {
        await keys.rotate(actor, { now, reason })
        return { to: KEYS_URL, done: 'keys-rotated' }
      },
    }) satisfies Partial<Action<object>>

  confirm(router, {
    ...rotation(false),
    path: `${KEYS_URL}/rotate`,
    title: () => 'Rotate the signing keys',
    says: () => [
      'A new key is made for each algorithm. It is published at once, and signs after 10 minutes, when every app can have read it.',
      'The present keys go on verifying for a day and are then withdrawn. Nobody has to do anything, and nobody is signed out.',
      'Until then the keys can be rotated again only at once, for one in wrong hands.',
    ],
    button: 'Rotate the keys',
  })

  confirm(router, {
    ...rotation(true),
    path: `${KEYS_URL}/rotate-now`,
    title: () => 'Withdraw all signing keys now',
    says: () => [
      'For a key in wrong hands: new keys sign at once, and all others are withdrawn with everything they signed.',
      'Sign-ins that are under way fail at apps that haven’t read the new keys; most do when they meet one they don’t know, all within 5 minutes. Until then they may still take forged tokens.',
      'Apps that sign somebody out with an ID token from before get an error page. People stay signed in, and access and refresh tokens stay good.',
      'Whoever had the keys had more than these: read docs/keys.md, and find out how.',
    ],
    button: 'Withdraw all keys now',
  })
}
