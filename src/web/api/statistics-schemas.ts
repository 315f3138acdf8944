import { z } from 'zod'
import { RANGE_NAMES } from '../../statistics/overview.ts'

/** The figures of the dashboard, as docs/dashboard.md tells what they mean. */

export const range = z.enum(RANGE_NAMES)

const moment = z.iso.datetime()
const count = z.int()

const funnel = {
  asked: count.describe('codes that people asked for'),
  sent: count.describe('of them, those a gateway took'),
  delivered: count.describe('of them, those a gateway reported as delivered'),
  passed: count.describe('of them, those that were typed right'),
}

const figures = {
  ...funnel,
  conversion: z.number().nullable().describe('right codes, of those sent; null where none was'),
  medianSeconds: z
    .number()
    .nullable()
    .describe('from the first message to the right code: an estimate'),
  messages: z
    .object({ tried: count, accepted: count, delivered: count, failed: count, parts: count })
    .describe('every try at a gateway, notices included'),
  cost: z.number().nullable().describe('an estimate; null where there are no prices'),
}

const cost = {
  cost: z.number().nullable(),
  unpriced: count.describe('messages without a price, which are in no sum'),
}

const gateway = z.string().nullable().describe('null: none was tried')
const country = z.string().nullable().describe('ISO 3166 code; null: not known')

export const statistics = z
  .object({
    range,
    from: moment,
    to: moment,
    asOf: moment.describe('up to when is counted'),
    bucketSeconds: count.describe('length of a step of `series`, the last of which still runs'),
    series: z.array(z.object({ at: moment, signIns: count, ...funnel })),
    totals: z.object({ signIns: count, ...figures }),
    byGateway: z.array(z.object({ gateway, ...figures })),
    byCountry: z.array(z.object({ country, ...figures })),
    failures: z.array(
      z.object({
        cause: z.string().describe('type of an audit event, and its reason'),
        label: z.string(),
        count,
      }),
    ),
    cost: z
      .object({
        currency: z.string().describe('ISO 4217'),
        total: z.number().nullable(),
        unpriced: count,
        byGateway: z.array(z.object({ gateway: z.string(), ...cost })),
        byCountry: z.array(z.object({ country, ...cost })),
      })
      .nullable()
      .describe('an estimate by the prices that are set; null where none are'),
  })
  .meta({ id: 'Statistics' })
