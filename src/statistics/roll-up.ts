import type { Clock } from '../db/clock.ts'
import type { Db } from '../db/schema.ts'
import { deliveryFigures, deliverySums } from './delivery-figures.ts'
import { eventFigures, eventSums } from './event-figures.ts'
import { createProgress, type Stretch } from './progress.ts'
import { SUMS } from './slots.ts'

/**
 * Keeps the figures. A slot's are worked out anew from what is stored whenever something happened that may change
 * them, and put in the place of the old ones: so doing it twice, or by two at once, counts nothing twice, and what
 * was missed while no instance ran is made up for. Every statement is about a few minutes of traffic.
 */
export function createRollUp({ db, clock }: { db: Db; clock: Clock }) {
  const progress = createProgress(clock)

  async function follow(stretch: Stretch): Promise<void> {
    const { rows } = await progress.touched(stretch).execute(db)
    for (const { slot } of rows) {
      await deliveryFigures(slot).execute(db)
      await eventFigures(slot).execute(db)
      for (const sum of SUMS) {
        await deliverySums(slot, sum).execute(db)
        await eventSums(slot, sum).execute(db)
      }
    }
    await progress.done(stretch).execute(db)
  }

  return {
    /** Does what there is to do, now. */
    async rollUp(): Promise<void> {
      for (let last = false; !last; ) {
        const { rows } = await progress.next().execute(db)
        const [stretch] = rows
        if (!stretch) return
        await follow(stretch)
        last = stretch.last
      }
    },

    /**
     * Does a part of it, if it is this instance's turn.
     * @returns whether there is more
     */
    async rollUpInTurn(): Promise<boolean> {
      const { rows } = await progress.takeTurn().execute(db)
      const [stretch] = rows
      if (!stretch) return false
      await follow(stretch)
      return !stretch.last
    },

    /** Deletes figures past their keeping, at most `batch` of each kind. */
    async sweep(batch: number): Promise<number> {
      let most = 0
      for (const table of ['delivery_stat', 'event_stat'] as const) {
        const { numAffectedRows } = await progress.sweep(table, batch).execute(db)
        most = Math.max(most, Number(numAffectedRows ?? 0))
      }
      return most
    },
  }
}
