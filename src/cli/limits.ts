import type { Command } from 'commander'
import { Refusal } from '../errors.ts'
import { asCountry } from '../phone-number.ts'
import { perform, record, table } from './output.ts'
import { inSession } from './session.ts'

export function addLimitCommands(program: Command): void {
  const noun = program
    .command('limits')
    .description('what texts are limited by, and what they come to')

  const list = noun
    .command('list')
    .description(
      'show how much of the budgets is used, and the countries texts went to within a day',
    )
  perform(list, 'limits list', async () =>
    inSession(async ({ sendStates, config }) => {
      const { globalHour, globalDay } = config.sms.limits
      const [{ hour, day }, countries] = await Promise.all([
        sendStates.budgets(),
        sendStates.countries(),
      ])
      const budgets = record([
        ['this hour', `${hour} of ${globalHour}`],
        ['this day', `${day} of ${globalDay}`],
      ])
      const listed = table(
        ['country', 'sends', 'right codes', 'paused until'],
        countries.map(({ country, sends, passes, pausedUntil }) => [
          country,
          String(sends),
          String(passes),
          pausedUntil?.toISOString() ?? '-',
        ]),
      )
      return {
        json: {
          hour: { sends: hour, limit: globalHour },
          day: { sends: day, limit: globalDay },
          countries,
        },
        text: countries.length > 0 ? `${budgets}\n\n${listed}` : budgets,
      }
    }),
  )

  const lift = noun
    .command('lift')
    .description('end the pause of a country')
    .argument('<country>', 'ISO 3166 code, as DK')
  perform(lift, 'limits lift DK', async (text: string) =>
    inSession(async ({ sendStates }) => {
      const country = asCountry(text.toUpperCase())
      if (!country) throw new Refusal('country', 400, `${JSON.stringify(text)} is not a country.`)
      if (!(await sendStates.lift(country)))
        throw new Refusal('not_paused', 409, `${country} is not paused.`)
      return { json: { country, paused: false }, text: `${country} gets texts again.` }
    }),
  )
}
