import { tracedWithin, untraced, type Work } from '../tracing.ts'
import { assertInTime, createSharedTime, TimeIsUp } from './deadline.ts'

/** More would wait for each other longer than it takes to ask again. */
export const MOST = 16

interface Gathering<Value, Answer> {
  values: Value[]
  time: ReturnType<typeof createSharedTime>
  answers: Promise<(index: number) => Answer>
}

/**
 * Has what several ask for in one turn of the event loop asked for at once, sixteen at most.
 *
 * @param ask what asks; it gives the answer for the value of each index
 * @param work what each of those who ask has waited for, in a trace
 */
export function gathering<Value, Answer>(
  ask: (values: readonly Value[]) => Promise<(index: number) => Answer>,
  work: () => Work,
): (value: Value) => Promise<Answer> {
  let open: Gathering<Value, Answer> | undefined

  function begun(): Gathering<Value, Answer> {
    const values: Value[] = []
    const time = createSharedTime()
    const answers = new Promise<(index: number) => Answer>((resolve, reject) => {
      setImmediate(() => {
        if (open?.values === values) open = undefined
        untraced(() => time.run(() => ask(values))).then(resolve, reject)
      })
    })
    return { values, time, answers }
  }

  async function join(value: Value): Promise<Answer> {
    assertInTime()
    open ??= begun()
    const { values, time, answers } = open
    const index = values.push(value) - 1
    time.join()
    if (values.length === MOST) open = undefined
    try {
      return (await answers)(index)
    } catch (error) {
      // It was that of somebody else, who came sooner.
      if (!(error instanceof TimeIsUp)) throw error
      assertInTime()
      return (await ask([value]))(0)
    }
  }

  return (value) => tracedWithin(work, () => join(value))
}
