import type Router from '@koa/router'
import type { Traffic } from '../../admin/traffic.ts'
import { asCountry } from '../../phone-number.ts'
import type { SendLimitRules } from '../../second-factor/send-chain.ts'
import type { Confirming } from './confirming.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'
import { countryText, countText, shareText } from './formats.ts'
import { metersOf } from './overview-page.ts'

const LIMITS_URL = `${CONSOLE_URL}/limits`

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  confirm: Confirming
  traffic: Traffic
}

interface Pause {
  code: string
  name: string
  /** in a sentence; undefined where nothing was sent */
  traffic: string | undefined
}

/** What each limit is on, and what sets it. */
const RULES: ReadonlyArray<{ rule: keyof SendLimitRules; variable: string; on: string }> = [
  { rule: 'globalHour', variable: 'SMS_LIMIT_GLOBAL_HOUR', on: 'all texts in an hour' },
  { rule: 'globalDay', variable: 'SMS_LIMIT_GLOBAL_DAY', on: 'all texts in a day' },
  { rule: 'countryHour', variable: 'SMS_LIMIT_COUNTRY_HOUR', on: 'one country in an hour' },
  {
    rule: 'prefixHour',
    variable: 'SMS_LIMIT_PREFIX_HOUR',
    on: 'numbers that differ in their last four digits only, in an hour',
  },
  {
    rule: 'prefixUnanswered',
    variable: 'SMS_LIMIT_PREFIX_UNANSWERED',
    on: 'newcomers with such numbers in a day, before any of their codes is typed',
  },
  { rule: 'phoneHour', variable: 'SMS_LIMIT_PHONE_HOUR', on: 'one number in an hour' },
  { rule: 'phoneDay', variable: 'SMS_LIMIT_PHONE_DAY', on: 'one number in a day' },
  { rule: 'addressHour', variable: 'SMS_LIMIT_IP_HOUR', on: 'one network address in an hour' },
  {
    rule: 'unanswered',
    variable: 'SMS_LIMIT_UNANSWERED',
    on: 'one account in a row without a right code, before it must wait',
  },
]

/** Budgets, countries and their pauses. */
export function addLimits(router: Router, { door, pages, confirm, traffic }: Dependencies): void {
  router.get(
    LIMITS_URL,
    door.page('limits.read', async (ctx, { actor, ...who }) => {
      const [budgets, countries] = await Promise.all([
        traffic.budgets(actor),
        traffic.countries(actor),
      ])
      const rules = traffic.rules(actor)
      pages.show(ctx, { actor, ...who }, 'limits', {
        meters: metersOf(budgets),
        countries: countries.map((one) => ({
          code: one.country,
          name: countryText(one.country),
          sends: countText(one.sends),
          passes: countText(one.passes),
          share: one.sends > 0 ? shareText(one.passes / one.sends) : '–',
          pausedUntil: one.pausedUntil,
        })),
        rules: RULES.map(({ rule, ...one }) => {
          const most = rules[rule]
          return { ...one, most: most === undefined ? 'no limit' : countText(most) }
        }),
      })
    }),
  )

  confirm(router, {
    path: `${LIMITS_URL}/pauses/:country/lift`,
    permission: 'limits.write',
    title: ({ name }: Pause) => `Lift the pause of ${name}`,
    says: ({ name, traffic }) => [
      `Strangers in ${name} get texts again at once: people whose numbers nobody has proven yet.`,
      ...(traffic ? [traffic] : []),
      'If it was an attack, it goes on, and every text costs you. Look first at who asks: many new accounts, or one network address, are no crowd of customers.',
      'It is paused again by itself when too few of the codes are typed.',
    ],
    button: 'Lift the pause',
    danger: true,
    reason: 'required',
    async about(ctx, { actor }): Promise<Pause | undefined> {
      const code = asCountry(String(ctx.params?.country))
      if (!code) return undefined
      const found = (await traffic.countries(actor)).find(({ country }) => country === code)
      return {
        code,
        name: countryText(code),
        traffic:
          found &&
          `Within a day ${countText(found.sends)} were sent there, of which ${countText(found.passes)} came to a right code.`,
      }
    },
    back: () => LIMITS_URL,
    async act({ actor }, { code }, { reason }) {
      await traffic.liftPause(actor, code, reason)
      return { to: LIMITS_URL, done: 'pause-lifted' }
    },
  })
}
