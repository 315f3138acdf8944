import type Router from '@koa/router'
import type { BackupCodes } from '../../second-factor/backup-codes.ts'
import type { Pages } from '../pages.ts'
import type { Confirming } from './confirming.ts'
import { goOn } from './done.ts'
import type { Door } from './door.ts'
import { readStrict } from './input.ts'

const CODES_URL = '/account/backup-codes'
/** With so many left, it is time for new ones (BKP-07). */
export const FEW_CODES = 2

interface Dependencies {
  door: Door
  confirming: Confirming
  pages: Pages
  backupCodes: BackupCodes
  brandName: string
}

/** How many backup codes are left, and making new ones. */
export function addBackupCodes(router: Router, deps: Dependencies): void {
  const { door, confirming, pages, backupCodes } = deps

  router.get(
    CODES_URL,
    door.page(async (ctx, who) => {
      const { left, createdAt } = await backupCodes.count(who.account.id)
      pages.show(ctx, 200, 'account-backup-codes', {
        ...door.shell(ctx, who),
        left,
        few: createdAt !== null && left <= FEW_CODES,
        createdAt,
        hasFactor: await door.hasFactor(who.account.id),
      })
    }),
  )

  confirming.add(router, {
    path: `${CODES_URL}/new`,
    title: 'account.codes.newTitle',
    message: 'account.codes.newSay',
    button: 'account.codes.make',
    // Codes stand in for a factor; without one there is nothing to stand in for.
    about: async (_ctx, { account }) =>
      (await door.hasFactor(account.id)) ? backupCodes.count(account.id) : undefined,
    back: () => CODES_URL,
    seen: ({ createdAt }) => createdAt?.toISOString() ?? '',
    async act(ctx, who, { createdAt: seen }) {
      const { account, sessionUid } = who
      const codes = await backupCodes.renew(account.id, { seen, sessionUid })
      // The same form came twice, and the other one has shown them.
      if (!codes) return goOn(ctx, CODES_URL)
      pages.show(ctx, 200, 'backup-codes', {
        app: null,
        formToken: door.shell(ctx, who).formToken,
        actionUrl: `${CODES_URL}/kept`,
        continueUrl: `${CODES_URL}/kept`,
        cancelUrl: CODES_URL,
        restartUrl: null,
        codes,
        brandName: deps.brandName,
        error: null,
      })
    },
  })

  router.post(
    `${CODES_URL}/kept`,
    door.form((ctx) => {
      readStrict(ctx, {})
      goOn(ctx, CODES_URL)
    }),
  )
}
