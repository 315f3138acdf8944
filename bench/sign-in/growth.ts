import type { Driver } from './driving.ts'
import { addPlain } from './fill.ts'
import { addPast } from './fill-past.ts'
import { type Ours, prepareOurs, startOurs } from './ours.ts'
import type { BenchDatabase, Size } from './sign-in.ts'
import { type Measured, takeTurns } from './turns.ts'

/** How sign-ins are where there is more, each beside the small database in the same rounds. */
export interface Growth {
  accounts: number
  challenges: number
  fillSeconds: number
  password: Compared
  texted: Compared
}

interface Compared {
  small: Measured
  large: Measured
}

/** A second database grows; sign-ins at it and at the small one take turns. */
export async function measureGrowth(
  fresh: () => Promise<BenchDatabase>,
  driver: Driver,
  small: Ours,
  size: Size,
): Promise<Growth[]> {
  const database = await fresh()
  try {
    const large = await prepareOurs(database, driver.gateway, size.people)
    const grown: Growth[] = []
    let plain = size.people
    const stages = [size.accounts / 10, size.accounts].filter((accounts) => accounts / 2 > plain)
    for (const accounts of stages) {
      const began = performance.now()
      await addPlain(database.db, plain, accounts / 2)
      plain = accounts / 2
      const fillSeconds = (performance.now() - began) / 1000
      const compared = await compare(driver, small, large, plain, size)
      grown.push({ accounts, challenges: 0, fillSeconds, ...compared })
    }
    const began = performance.now()
    await addPast(database.db, size.challenges)
    const fillSeconds = (performance.now() - began) / 1000
    const compared = await compare(driver, small, large, plain, size)
    const accounts = Math.max(plain * 2, size.people)
    grown.push({ accounts, challenges: size.challenges, fillSeconds, ...compared })
    return grown
  } finally {
    await database.destroy()
  }
}

async function compare(driver: Driver, small: Ours, large: Ours, people: number, size: Size) {
  const [few, many] = [await startOurs(small), await startOurs(large)]
  try {
    const { people: fewPeople } = size
    const measured = await takeTurns(
      driver,
      {
        smallPassword: { at: few, what: 'password', people: fewPeople },
        largePassword: { at: many, what: 'password', people },
        smallTexted: { at: few, what: 'texted', people: fewPeople },
        largeTexted: { at: many, what: 'texted', people: fewPeople },
      },
      size,
    )
    return {
      password: { small: measured.smallPassword, large: measured.largePassword },
      texted: { small: measured.smallTexted, large: measured.largeTexted },
    }
  } finally {
    await few.stop()
    await many.stop()
  }
}
