import type { Db } from '../../src/db/schema.ts'
import { createBuilt, createDocumented } from './authgear.ts'
import type { Defence } from './defence.ts'
import { createOurs, defaults } from './ours.ts'
import { type Figures, replay } from './replay.ts'
import { createFixed, createNone } from './simple-defences.ts'
import { ATTACKS, type Attack, createTraffic, type SignIn } from './traffic.ts'

/** What came of one attack under each defence, by the defence's name. */
export interface Result {
  attack: string
  what: string
  defences: Record<string, Figures>
}

/** A migrated database without accounts, for one run. */
export interface FreshDatabase {
  db: Db
  destroy(): Promise<void>
}

/** Runs every defence through every attack, the attacks beside one another. */
export function pumping(fresh: () => Promise<FreshDatabase>): Promise<Result[]> {
  return Promise.all(ATTACKS.map((attack) => runAttack(attack, createTraffic(attack), fresh)))
}

export async function runAttack(
  { name, what }: Attack,
  traffic: readonly SignIn[],
  fresh: () => Promise<FreshDatabase>,
): Promise<Result> {
  const database = await fresh()
  try {
    const { phoneHour, addressHour, globalHour } = defaults.sms.limits
    const defences: Defence[] = [
      createNone(),
      createFixed({ phone: phoneHour, address: addressHour, overall: globalHour }),
      createDocumented(),
      createBuilt(),
      await createOurs(database.db, traffic),
    ]
    const figures: Array<[string, Figures]> = []
    for (const defence of defences) figures.push([defence.name, await replay(traffic, defence)])
    return { attack: name, what, defences: Object.fromEntries(figures) }
  } finally {
    await database.destroy()
  }
}
