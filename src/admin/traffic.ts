import type { Alerts, ListedAlert } from '../alerts/alerts.ts'
import { Refusal } from '../errors.ts'
import { asCountry } from '../phone-number.ts'
import type { SendLimitRules } from '../second-factor/send-chain.ts'
import type { CountryTraffic, SendStates } from '../second-factor/send-states.ts'
import type {
  FoundMessage,
  MessageFilters,
  MessageList,
  MessagePosition,
} from '../statistics/message-list.ts'
import type { Overview, Range } from '../statistics/overview.ts'
import type { Statistics } from '../statistics/statistics.ts'
import { type Actor, asActor, assertMay } from './permissions.ts'

export type Traffic = ReturnType<typeof createTraffic>

/** How much of a budget is used. */
export interface Budget {
  sends: number
  limit: number
}

export interface Budgets {
  hour: Budget
  day: Budget
}

interface Dependencies {
  statistics: Pick<Statistics, 'overview'>
  messageList: MessageList
  sendStates: SendStates
  alerts: Pick<Alerts, 'list'>
  rules: SendLimitRules
}

/** What sign-ins and messages come to, what limits them, and what somebody should look at. */
export function createTraffic(deps: Dependencies) {
  const { statistics, messageList, sendStates, alerts, rules } = deps

  return {
    async overview(actor: Actor, range: Range): Promise<Overview> {
      assertMay(actor, 'dashboard.read')
      return statistics.overview(range)
    },

    /** Live ones first, then those that ended within 30 days. */
    async alerts(actor: Actor): Promise<ListedAlert[]> {
      assertMay(actor, 'dashboard.read')
      return alerts.list()
    },

    async budgets(actor: Actor): Promise<Budgets> {
      assertMay(actor, 'dashboard.read')
      const { hour, day } = await sendStates.budgets()
      return {
        hour: { sends: hour, limit: rules.globalHour },
        day: { sends: day, limit: rules.globalDay },
      }
    },

    /** The newest first. */
    async messages(
      actor: Actor,
      filters: MessageFilters,
      limit: number,
      after?: MessagePosition,
    ): Promise<FoundMessage[]> {
      assertMay(actor, 'messages.read')
      return messageList.list(filters, limit, after)
    },

    /** Countries that got texts within a day, the busiest first. */
    async countries(actor: Actor): Promise<CountryTraffic[]> {
      assertMay(actor, 'limits.read')
      return sendStates.countries()
    },

    /** What the limits are set to. */
    rules(actor: Actor): SendLimitRules {
      assertMay(actor, 'limits.read')
      return rules
    },

    /**
     * Ends the pause of a country, whatever it was paused for.
     * @throws Refusal when it isn't paused
     */
    async liftPause(actor: Actor, code: string, reason: string): Promise<void> {
      assertMay(actor, 'limits.write')
      const country = asCountry(code)
      if (!country) throw new Refusal('no_country', 404, `${code} is no country.`)
      if (!(await asActor(actor, reason, () => sendStates.lift(country))))
        throw new Refusal('not_paused', 409, `${country} is not paused.`)
    },
  }
}
