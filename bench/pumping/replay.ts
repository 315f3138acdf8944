import { countryOf } from './countries.ts'
import type { Defence } from './defence.ts'
import type { SignIn } from './traffic.ts'

/** Who is refused a text tries again after this long, and then gives up. */
const RETRIES = [180, 900]
/** So does someone who asked for the code again. */
const RETRY_AGAIN = 120
const TYPING = 20
/** As long as the page has the attacker wait before a code goes out again: once, twice, four times. */
const ATTACKER_AGAIN = [31, 61, 121]

export interface Figures {
  /** texts to numbers of the attacker */
  pumped: number
  /** what they cost, in euros */
  lost: number
  honest: number
  /** honest sign-ins that got no code because of a refusal */
  refused: number
  /** those of them with a number that was proven before */
  refusedKnown: number
}

type Step = (at: number) => Promise<void>

/** Runs one defence through the traffic. */
export async function replay(traffic: readonly SignIn[], defence: Defence): Promise<Figures> {
  const figures: Figures = { pumped: 0, lost: 0, honest: 0, refused: 0, refusedKnown: 0 }
  const agenda = createAgenda()

  function refuse({ person }: SignIn): void {
    figures.refused++
    if (person.known) figures.refusedKnown++
  }

  function type(signIn: SignIn, attempt: number, at: number): void {
    agenda.add(at, (then) => defence.typed(signIn, attempt, then, addressOf(signIn, 0)))
  }

  function honest(signIn: SignIn, attempt: number): Step {
    return async (at) => {
      const sent = await defence.start(signIn, attempt, at, addressOf(signIn, 0))
      const wait = RETRIES[attempt]
      if (sent) {
        if (signIn.does === 'types') type(signIn, attempt, at + signIn.after)
        if (signIn.does === 'again') agenda.add(at + signIn.after, again(signIn, attempt, false))
      } else if (wait !== undefined) agenda.add(at + wait, honest(signIn, attempt + 1))
      else refuse(signIn)
    }
  }

  function again(signIn: SignIn, attempt: number, second: boolean): Step {
    return async (at) => {
      if (await defence.again(signIn, attempt, at, addressOf(signIn, 0)))
        type(signIn, attempt, at + TYPING)
      else if (!second) agenda.add(at + RETRY_AGAIN, again(signIn, attempt, true))
      else refuse(signIn)
    }
  }

  function attack(signIn: SignIn, sends: number): Step {
    return async (at) => {
      const ask = sends === 0 ? defence.start : defence.again
      if (!(await ask(signIn, 0, at, addressOf(signIn, sends)))) return
      figures.pumped++
      figures.lost += countryOf(signIn.person.country).price
      const wait = ATTACKER_AGAIN[sends]
      if (wait !== undefined) agenda.add(at + wait, attack(signIn, sends + 1))
    }
  }

  for (const signIn of traffic) {
    if (signIn.does !== 'attacker') figures.honest++
    agenda.add(signIn.at, signIn.does === 'attacker' ? attack(signIn, 0) : honest(signIn, 0))
  }
  await agenda.run()
  return figures
}

function addressOf({ addresses }: SignIn, request: number): string {
  return addresses[request] ?? addresses.at(-1) ?? ''
}

/** Things to be done in the order of their times; of those at one time, the one that was added first. */
function createAgenda() {
  const open: Array<{ at: number; step: Step }> = []
  return {
    add(at: number, step: Step): void {
      let place = open.length
      while (place > 0 && (open[place - 1]?.at ?? 0) <= at) place--
      open.splice(place, 0, { at, step })
    },
    async run(): Promise<void> {
      for (let next = open.pop(); next; next = open.pop()) await next.step(next.at)
    },
  }
}
