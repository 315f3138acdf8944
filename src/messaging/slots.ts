/** Lets at most so many run at a time; the others wait their turn, but not for longer than they say. */
export function createSlots(most: number) {
  const waiting: Array<() => void> = []
  let taken = 0

  return {
    /** @returns whether there was room in time; then `leave` is to be called once */
    async enter(patienceMs: number): Promise<boolean> {
      if (taken < most) {
        taken += 1
        return true
      }
      const turn = Promise.withResolvers<boolean>()
      const admit = () => turn.resolve(true)
      waiting.push(admit)
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(admit), 1)
        turn.resolve(false)
      }, patienceMs)
      try {
        return await turn.promise
      } finally {
        clearTimeout(timer)
      }
    },

    /** Hands the place on to who has waited longest. */
    leave(): void {
      const next = waiting.shift()
      if (next) next()
      else taken -= 1
    },
  }
}
