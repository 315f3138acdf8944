import { z } from 'zod'
import { asCountry } from '../phone-number.ts'
import { variable } from './documentation.ts'

/** What one part of a text, or one call, costs: by `gateway/country`, `country`, `gateway/*` or `*`. */
export type PriceTable = ReadonlyMap<string, number>

const EACH =
  'must be like DK=0.032;twilio/US=0.0083;twilio/*=0.09;*=0.08: prices of 0 to 9999 by country, gateway/country, gateway/* or *, each once'

const priceTable = z.string().transform((text, context): PriceTable => {
  const entries = text
    .split(';')
    .filter((entry) => entry.trim())
    .map((entry) => entry.split('=').map((part) => part.trim()))
  const fine = entries.every(
    ([to = '', price = '', ...more]) =>
      isDestination(to) && /^\d{1,4}(\.\d{1,6})?$/.test(price) && more.length === 0,
  )
  const table = new Map(entries.map(([to = '', price]) => [to, Number(price)]))
  if (!fine || table.size !== entries.length || entries.length === 0) {
    context.addIssue(EACH)
    return z.NEVER
  }
  return table
})

/** Whether the gateway in it is one is looked at with the other variables. */
function isDestination(text: string): boolean {
  const [, country = ''] = /^(?:[a-z-]+\/)?(\*|[A-Z]{2})$/.exec(text) ?? []
  return country === '*' || asCountry(country) !== undefined
}

/** What messages cost, for the figures that admins see. */
export const prices = {
  SMS_PRICES: variable('SMS_PRICES', priceTable.optional(), {
    meaning:
      'what one part of a text costs, by country and gateway; the closest one counts ([more](dashboard.md#costs))',
    example: 'DK=0.032;twilio/US=0.0083;twilio/*=0.09;*=0.08',
    otherwise: 'none: no costs of texts are estimated',
  }),
  VOICE_PRICES: variable('VOICE_PRICES', priceTable.optional(), {
    meaning: 'likewise what a call costs',
    example: '*=0.05',
    otherwise: 'none: no costs of calls are estimated',
  }),
  PRICE_CURRENCY: variable(
    'PRICE_CURRENCY',
    z
      .string()
      .refine(
        (code) => Intl.supportedValuesOf('currency').includes(code),
        'must be an ISO 4217 code of three capital letters',
      )
      .default('EUR'),
    { meaning: 'the currency of these prices', example: 'EUR' },
  ),
}
