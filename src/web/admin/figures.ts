import type { Figures, Overview } from '../../statistics/overview.ts'
import { countryText, countText, moneyText, secondsText, shareText, type Unit } from './formats.ts'

/** A chart and the table it is drawn from. */
export interface Figure {
  id: string
  title: string
  /** what one must know to read it */
  note: string | null
  /** over time, or by size */
  draws: 'bars' | 'lines' | 'ranked'
  /** of what is drawn */
  unit: Unit
  /** in words, for those who don't see it */
  summary: string
  /** said in place of it when there is nothing to draw */
  empty: string | null
  rowsAre: string
  /** `drawn` as a line or bar of its own; `beside` it in words */
  columns: ReadonlyArray<{ label: string; as: 'drawn' | 'beside' | 'told' }>
  rows: ReadonlyArray<{
    label: string
    at: Date | null
    cells: ReadonlyArray<{ text: string; value: number | null }>
  }>
}

const NOTHING = '–'

const count = (value: number) => ({ text: countText(value), value })
const share = (value: number | null) => ({
  text: value === null ? NOTHING : shareText(value),
  value,
})
const seconds = (value: number | null) => ({
  text: value === null ? NOTHING : secondsText(value),
  value,
})

/** The charts of the dashboard, in the order in which they are looked at. */
export function figuresOf(overview: Overview): Figure[] {
  return [
    signIns(overview),
    funnel(overview),
    conversion(overview, 'gateway'),
    conversion(overview, 'country'),
    failures(overview),
    ...costs(overview),
  ]
}

function signIns({ series, totals, range }: Overview): Figure {
  const busiest = series.toSorted((a, b) => b.signIns - a.signIns)[0]
  return {
    id: 'sign-ins',
    title: 'Sign-ins',
    note: null,
    draws: 'bars',
    unit: 'count',
    summary: `Bar chart of sign-ins over time: ${countText(totals.signIns)} in all, at most ${countText(busiest?.signIns ?? 0)} in a step.`,
    empty: totals.signIns === 0 ? `No sign-ins in the last ${range}.` : null,
    rowsAre: 'From',
    columns: [{ label: 'Sign-ins', as: 'drawn' }],
    rows: series.map(({ at, signIns }) => ({
      label: at,
      at: new Date(at),
      cells: [count(signIns)],
    })),
  }
}

function funnel({ series, totals, range }: Overview): Figure {
  const { asked, sent, delivered, passed } = totals
  return {
    id: 'funnel',
    title: 'Codes, from asking to the right one',
    note: 'A code counts when it was first sent. Gateways that report nothing have none delivered.',
    draws: 'lines',
    unit: 'count',
    summary: `Line chart of codes over time. In all ${countText(asked)} were asked for, ${countText(sent)} sent, ${countText(delivered)} reported as delivered, and ${countText(passed)} typed right.`,
    empty: asked === 0 ? `No codes in the last ${range}.` : null,
    rowsAre: 'From',
    columns: ['Asked', 'Sent', 'Delivered', 'Right code'].map((label) => ({ label, as: 'drawn' })),
    rows: series.map((step) => ({
      label: step.at,
      at: new Date(step.at),
      cells: [step.asked, step.sent, step.delivered, step.passed].map(count),
    })),
  }
}

function conversion({ byGateway, byCountry, range }: Overview, by: 'gateway' | 'country'): Figure {
  const groups: Array<{ label: string } & Figures> =
    by === 'gateway'
      ? byGateway.map((one) => ({ ...one, label: one.gateway ?? 'None was tried' }))
      : byCountry.map((one) => ({ ...one, label: countryText(one.country) }))
  const told = groups
    .filter(({ conversion }) => conversion !== null)
    .slice(0, 5)
    .map(({ label, conversion }) => `${label} ${shareText(conversion ?? 0)}`)
  return {
    id: `by-${by}`,
    title: `Conversion by ${by}`,
    note: 'Right codes of those sent, and the median time to the right code. The busiest first.',
    draws: 'ranked',
    unit: 'share',
    summary: `Bar chart of conversion by ${by}, the busiest first: ${told.join(', ')}.`,
    empty: told.length === 0 ? `No codes were sent in the last ${range}.` : null,
    rowsAre: by === 'gateway' ? 'Gateway' : 'Country',
    columns: [
      { label: 'Conversion', as: 'drawn' },
      { label: 'Median time', as: 'beside' },
      { label: 'Asked', as: 'told' },
      { label: 'Sent', as: 'told' },
      { label: 'Delivered', as: 'told' },
      { label: 'Right code', as: 'told' },
      { label: 'Messages failed', as: 'told' },
    ],
    rows: groups.map(({ label, messages, ...one }) => ({
      label,
      at: null,
      cells: [
        share(one.conversion),
        seconds(one.medianSeconds),
        ...[one.asked, one.sent, one.delivered, one.passed, messages.failed].map(count),
      ],
    })),
  }
}

function failures({ failures, range }: Overview): Figure {
  const [most] = failures
  return {
    id: 'failures',
    title: 'Failures by cause',
    note: 'How often something failed; one person may be behind many of them.',
    draws: 'ranked',
    unit: 'count',
    summary: most
      ? `Bar chart of failures by cause. The most frequent: ${most.label}, ${countText(most.count)}.`
      : '',
    empty: most ? null : `Nothing failed in the last ${range}.`,
    rowsAre: 'Cause',
    columns: [{ label: 'Times', as: 'drawn' }],
    rows: failures.map((one) => ({ label: one.label, at: null, cells: [count(one.count)] })),
  }
}

/** Only where there are prices. */
function costs({ cost, range }: Overview): Figure[] {
  if (!cost) return []
  const money = (value: number | null) => ({
    text: value === null ? NOTHING : moneyText(value, cost.currency),
    value,
  })
  const sorted = cost.byGateway.toSorted((a, b) => (b.cost ?? 0) - (a.cost ?? 0))
  return [
    {
      id: 'cost',
      title: 'Estimated cost by gateway',
      note: 'Messages at today’s prices, as they were set here. What counts is the gateway’s bill.',
      draws: 'ranked',
      unit: 'money',
      summary: `Bar chart of estimated cost by gateway: ${sorted.map((one) => `${one.gateway} ${money(one.cost).text}`).join(', ')}.`,
      empty: sorted.some((one) => one.cost)
        ? null
        : `Nothing in the last ${range} cost anything, as far as prices are known.`,
      rowsAre: 'Gateway',
      columns: [
        { label: 'Cost', as: 'drawn' },
        { label: 'Messages without a price', as: 'told' },
      ],
      rows: sorted.map((one) => ({
        label: one.gateway,
        at: null,
        cells: [money(one.cost), count(one.unpriced)],
      })),
    },
  ]
}
