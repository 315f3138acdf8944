import type { Client } from 'pg'
import { z } from 'zod'

const node = z.looseObject({
  'Node Type': z.string(),
  'Relation Name': z.string().optional(),
  'Index Name': z.string().optional(),
  'Index Cond': z.string().optional(),
  get Plans() {
    return z.array(node).optional()
  },
})
type Node = z.output<typeof node>
const answer = z.array(z.object({ 'QUERY PLAN': z.array(z.object({ Plan: node })) }))

/**
 * Names every reading of a table in a statement's plan that doesn't find its rows by an index condition. What
 * suits small tables is made so dear that the planner takes any index there is.
 */
export async function unindexedReads(
  client: Client,
  statement: string,
  parameters?: readonly unknown[],
): Promise<string[]> {
  for (const way of ['seqscan', 'hashjoin', 'mergejoin'])
    await client.query(`set enable_${way} = off`)
  // Without parameters, the plan for any of them.
  const how = parameters ? '(format json)' : '(format json, generic_plan)'
  const text = `explain ${how} ${statement}`
  const { rows } = parameters ? await client.query(text, [...parameters]) : await client.query(text)
  return answer.parse(rows).flatMap((row) => row['QUERY PLAN'].flatMap(({ Plan }) => walk(Plan)))
}

function walk(plan: Node): string[] {
  const children = plan.Plans ?? []
  const type = plan['Node Type']
  const reads = type.endsWith('Scan') && plan['Relation Name'] !== undefined
  const indexed = plan['Index Cond'] ?? children.some((child) => child['Index Cond'])
  const anyIndexed = children.some((child) => hasCondition(child))
  return [
    ...(reads && !indexed && !anyIndexed ? [`${type} on ${plan['Relation Name']}`] : []),
    ...children.flatMap(walk),
  ]
}

/** Bitmap scans may join several indexes, each with its condition. */
function hasCondition(plan: Node): boolean {
  const children = plan.Plans ?? []
  if (plan['Node Type'] === 'Bitmap Index Scan') return plan['Index Cond'] !== undefined
  return (
    plan['Node Type'].startsWith('Bitmap') && children.length > 0 && children.every(hasCondition)
  )
}
