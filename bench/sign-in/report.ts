import type { Figures } from './sign-in.ts'
import type { Measured } from './turns.ts'

/** The figures beside what they are to be. */
export function signInReport(figures: Figures): string {
  return [
    ...rates(figures),
    ...cpu(figures),
    ...others(figures),
    ...growth(figures),
    ...rest(figures),
    '',
  ].join('\n')
}

const tenth = (value: number) => value.toFixed(1)
const ratio = (value: number, of: number) => (of > 0 ? (value / of).toFixed(2) : '–')
const judged = (good: boolean) => (good ? 'reached' : 'NOT REACHED')

function table(head: string[], rows: string[][]): string[] {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = widths.map(
    (width, column) => '-'.repeat(width - (column && 1)) + (column ? ':' : ''),
  )
  return [line(head), line(rule), ...rows.map(line), '']
}

function rates({ size, withHash, statements }: Figures): string[] {
  const { ours, bare, es256, texted, hashAlone } = withHash
  const row = (name: string, one: Measured, sent: number) => [
    name,
    tenth(one.rate),
    ratio(one.rate, bare.rate),
    ratio(one.rate, hashAlone.inTurn),
    String(one.errors),
    String(Math.round(one.p50)),
    String(Math.round(one.p95)),
    String(Math.round(one.requestP95)),
    String(sent),
  ]
  const faults = [ours, bare, es256, texted].flatMap((one) => one.faults)
  return [
    `sign-ins at ${size.concurrency} at a time, argon2id at its default cost, ${size.rounds} rounds of ${size.seconds} s each`,
    '',
    ...table(
      ['', 'a second', '× bare', '× hash', 'errors', 'p50 ms', 'p95', 'request p95', 'statements'],
      [
        row('Sallyport, password', ours, statements.password),
        row('Sallyport, password, ES256', es256, statements.password),
        row('bare provider, password', bare, statements.bare),
        row('Sallyport, password and texted code', texted, statements.texted),
      ],
    ),
    `the hash alone: ${tenth(hashAlone.inTurn)} a second in turn, as Sallyport has it judged; ${tenth(hashAlone.atOnce)} all at once`,
    `of the bare provider's statements ${statements.bareUpserts} are upserts; each statement is a round trip`,
    ...faults.map((fault) => `went wrong: ${fault}`),
    `  1.25 × the bare rate: ${judged(ours.rate >= 1.25 * bare.rate)}; p95 under 400 ms: ${judged(ours.p95 < 400)}`,
    '',
  ]
}

function cpu({ withHash, withoutHash }: Figures): string[] {
  const row = (name: string, one: Measured) => [
    name,
    one.serverCpuMs.toFixed(2),
    one.postgresCpuMs.toFixed(2),
    (one.serverCpuMs + one.postgresCpuMs).toFixed(2),
    one.driverCpuMs.toFixed(2),
    tenth(one.rate),
    tenth(one.p95),
  ]
  const { ours, bare, es256, texted } = withoutHash
  const all = ours.serverCpuMs + ours.postgresCpuMs
  const bareAll = bare.serverCpuMs + bare.postgresCpuMs
  return [
    'CPU of a sign-in in milliseconds',
    '',
    ...table(
      ['', 'server', 'PostgreSQL', 'both', 'driver', 'a second', 'p95 ms'],
      [
        row('Sallyport, without the hash', ours),
        row('Sallyport, ES256, without the hash', es256),
        row('bare provider, without the hash', bare),
        row('Sallyport with texted code, without the hash', texted),
        row('Sallyport, with the hash', withHash.ours),
        row('Sallyport, ES256, with the hash', withHash.es256),
        row('bare provider, with the hash', withHash.bare),
        row('Sallyport with texted code, with the hash', withHash.texted),
      ],
    ),
    `  3.5 ms at most where the bare one takes 5.0, so 0.7 of it: ${judged(all <= 0.7 * bareAll)} (${ratio(all, bareAll)}; ${all.toFixed(2)} ms to ${bareAll.toFixed(2)} ms)`,
    '',
  ]
}

function others({ withHash }: Figures): string[] {
  const { refresh, open } = withHash
  const row = (name: string, one: Measured, bare: Measured) => [
    name,
    String(Math.round(one.rate)),
    String(Math.round(bare.rate)),
    ratio(one.rate, bare.rate),
    String(one.errors),
    tenth(one.p95),
    one.serverCpuMs.toFixed(2),
    one.postgresCpuMs.toFixed(2),
  ]
  const both = Math.min(open.discovery.rate, open.jwks.rate)
  return [
    ...table(
      ['', 'a second', 'bare', '×', 'errors', 'p95 ms', 'server ms', 'PostgreSQL ms'],
      [
        row('refresh grants', refresh.ours, refresh.bare),
        row('discovery', open.discovery, open.bareDiscovery),
        row('JWKS', open.jwks, open.bareJwks),
      ],
    ),
    `  600 refresh grants a second: ${judged(refresh.ours.rate >= 600)}; 4,000 of discovery and JWKS: ${judged(both >= 4000)}`,
    '',
  ]
}

function growth({ growth: stages }: Figures): string[] {
  const rows = stages.flatMap(({ accounts, challenges, password, texted }) =>
    [
      { name: 'password', ...password },
      { name: 'texted code', ...texted },
    ].map(({ name, small, large }) => [
      `${accounts} accounts, ${challenges} challenges, ${name}`,
      tenth(large.rate),
      tenth(small.rate),
      ratio(large.rate, small.rate),
      String(large.errors),
      (large.serverCpuMs + large.postgresCpuMs).toFixed(2),
      (small.serverCpuMs + small.postgresCpuMs).toFixed(2),
    ]),
  )
  const worst = Math.min(
    ...stages.flatMap(({ password, texted }) =>
      [password, texted].map(({ small, large }) => large.rate / small.rate),
    ),
  )
  return [
    ...table(
      ['sign-ins where there is more', 'a second', 'small', '×', 'errors', 'CPU ms', 'small'],
      rows,
    ),
    `  within 10 %: ${judged(worst >= 0.9)}`,
    '',
  ]
}

function rest(figures: Figures): string[] {
  const { atRest, withHash, soak } = figures
  const { firstAnswerMs, idleMegabytes } = atRest
  const listed = (values: readonly number[]) => values.map(Math.round).join(', ')
  const failed = errorsOf(figures)
  return [
    `start to first answer ${Math.round(firstAnswerMs)} ms (under 1000: ${judged(firstAnswerMs < 1000)})`,
    `memory idle ${Math.round(idleMegabytes)} MB (under 150: ${judged(idleMegabytes < 150)}), after the rounds ${Math.round(withHash.busyMegabytes)} MB`,
    `soak of ${soak.minutes} min at ${tenth(soak.rate)} a second: ${soak.done} sign-ins with a texted code, ${soak.errors} errors, p95 ${Math.round(soak.p95)} ms`,
    `  memory at each tenth in MB: ${listed(soak.megabytes)}; open files and connections: ${listed(soak.descriptors)}`,
    `  no growth over the second half: ${judged(isEven(soak.megabytes, Math.max) && isEven(soak.descriptors, Math.min))}`,
    `  event loop late by ${tenth(soak.lagMs)} ms in a hundredth of the time (under 50: ${judged(soak.lagMs < 50)})`,
    `no errors: ${judged(failed === 0)} (${failed} of ours in all)`,
  ]
}

/** What went wrong at Sallyport, whatever was asked of it. */
function errorsOf({ withHash, withoutHash, growth: stages, soak }: Figures): number {
  const { refresh, open } = withHash
  const all = [
    ...[withHash, withoutHash].flatMap(({ ours, es256, texted }) => [ours, es256, texted]),
    ...[refresh.ours, open.discovery, open.jwks, soak],
    ...stages.flatMap(({ password, texted }) =>
      [password, texted].flatMap((one) => [one.small, one.large]),
    ),
  ]
  return all.reduce((sum, { errors }) => sum + errors, 0)
}

/** Whether what counts of the second half is at most a twentieth above that of the first: by then, all is warm. */
function isEven(values: readonly number[], counts: (...half: number[]) => number): boolean {
  const half = Math.ceil(values.length / 2)
  return counts(...values.slice(half)) <= counts(...values.slice(0, half)) * 1.05
}
