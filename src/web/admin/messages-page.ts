import type Router from '@koa/router'
import { z } from 'zod'
import type { Traffic } from '../../admin/traffic.ts'
import { MESSAGE_STATES } from '../../db/tables/messaging.ts'
import { asCountry } from '../../phone-number.ts'
import { type Cursors, MESSAGE_PLACE } from '../api/cursors.ts'
import { CONSOLE_URL } from './console-app.ts'
import type { ConsoleDoor } from './console-door.ts'
import type { ConsolePages } from './console-pages.ts'
import { countryText, moneyText } from './formats.ts'
import { inWords, STATE_WORDS } from './message-words.ts'

const MESSAGES_URL = `${CONSOLE_URL}/messages`
const PAGE = 50

interface Dependencies {
  door: ConsoleDoor
  pages: ConsolePages
  traffic: Traffic
  cursors: Cursors
  /** names of those that are in use */
  gateways: readonly string[]
  /** ISO 4217, of prices */
  currency: string
}

/** What a form sends for a choice that wasn't made is empty. */
const query = z.object({
  state: z.enum(MESSAGE_STATES).or(z.literal('')).catch(''),
  gateway: z
    .string()
    .regex(/^[a-z][\w-]{0,63}$/)
    .catch(''),
  country: z.string().trim().max(60).catch(''),
  channel: z.enum(['sms', 'voice']).or(z.literal('')).catch(''),
  account: z
    .string()
    .regex(/^[\w.~-]{1,64}$/)
    .catch(''),
  cursor: z.string().max(2000).optional(),
})

/** Messages of the last 30 days, and what became of each. */
export function addMessages(router: Router, deps: Dependencies): void {
  const { door, pages, traffic, cursors, currency } = deps

  router.get(
    MESSAGES_URL,
    door.page('messages.read', async (ctx, who) => {
      const { cursor, ...asked } = query.parse(ctx.query)
      const { state, gateway, channel, account } = asked
      const country = asCountry(asked.country.toUpperCase())
      const filters = {
        state: state || undefined,
        gateway: gateway || undefined,
        channel: channel || undefined,
        accountId: account || undefined,
        country,
      }
      const wanted = { ...filters, cursor, limit: PAGE }
      const { after, limit, cut } = cursors.page('messages', wanted, MESSAGE_PLACE)
      // A country that isn't one has no messages; all of them would be another answer than was asked for.
      const unknownCountry = asked.country !== '' && !country
      const found = unknownCountry ? [] : await traffic.messages(who.actor, filters, limit, after)
      const { items, next } = cut(found, ({ place }) => place)
      pages.show(ctx, who, 'messages', {
        asked,
        states: MESSAGE_STATES.map((value) => ({ value, label: STATE_WORDS[value].label })),
        gateways: [...new Set([...deps.gateways, ...(gateway ? [gateway] : [])])].sort(),
        messages: items.map((message) => ({
          ...inWords(message),
          country: countryText(message.country),
          price: message.cost === null ? null : moneyText(message.cost, currency),
        })),
        filtered: Object.values(asked).some((value) => value !== ''),
        unknownCountry,
        next: next && `${MESSAGES_URL}?${new URLSearchParams({ ...asked, cursor: next })}`,
      })
    }),
  )
}
