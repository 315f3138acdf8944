import { z } from 'zod'
import type { FailureClass, RecipientFault } from '../gateway.ts'
import type { Answer, Refusal } from '../judge.ts'

const CODES: ReadonlyArray<[failure: FailureClass, codes: readonly string[]]> = [
  [
    'recipient',
    ['1040', '1050', '1170', '1190', '1240', '1250', '1260', '1280', '1300', '1310', '1430'],
  ],
  ['sender', ['1120', '1420']],
  ['content', ['1010', '1020', '1210', '1270']],
  ['config', ['1060', '1160']],
  ['quota', ['1070']],
  ['throttle', ['1000', '1241']],
  // The last two are a phone that is off or busy, which passes.
  ['transient', ['1030', '1100', '1230', '1331', '1180', '1220']],
]

const FAULTS: ReadonlyMap<string, RecipientFault> = new Map([
  ['1050', 'barred'],
  ['1240', 'opted-out'],
  ['1280', 'barred'],
])

/** Vonage has no route there; another gateway may. */
const NO_ROUTE = new Set(['1250', '1300'])

/** What one of its codes tells; undefined where it is none of those we know. */
export function refusalByCode(code: string): Refusal | undefined {
  const known = CODES.find(([, codes]) => codes.includes(code))
  const fault = FAULTS.get(code)
  return (
    known && {
      failure: known[0],
      detail: code,
      ...(fault && { fault }),
      ...(NO_ROUTE.has(code) && { elsewhere: true }),
    }
  )
}

/** Its codes have four digits: less than a number, and no code of ours. */
const CODE = /^1\d{3}$/

/** A code as such, which is how webhooks give it, and errors too. */
export const ErrorTitle = z.union([z.string(), z.number()]).transform(String)

/** @returns what can be logged of a title, which may be words as well */
export function codeOf(title: string | undefined): string | undefined {
  return title !== undefined && CODE.test(title) ? title : undefined
}

/** RFC 9457. Its specification gives titles in words, and the code in the address that explains it. */
const Problem = z.object({
  type: z.string().optional().catch(undefined),
  title: ErrorTitle.optional().catch(undefined),
  invalid_parameters: z
    .array(z.object({ name: z.string() }))
    .optional()
    .catch(undefined),
})

const TITLES: ReadonlyMap<string, FailureClass> = new Map([
  ['Invalid recipient', 'recipient'],
  ['Invalid sender', 'sender'],
])

const PARAMETERS: ReadonlyMap<string, FailureClass> = new Map([
  ['to', 'recipient'],
  ['from', 'sender'],
  ['text', 'content'],
])

export function refusalOf({ status, json, retryAfterMs }: Answer): Refusal | undefined {
  const { data: problem } = Problem.safeParse(json)
  const titled = refusalByCode(codeOf(problem?.title) ?? '')
  if (titled?.failure === 'throttle' && retryAfterMs !== undefined)
    return { ...titled, retryAfterMs }
  if (titled) return titled
  // With other statuses the code in the address is of an older list, in which the same ones mean something else.
  if (status !== 400 && status !== 422) return undefined
  const parameter = problem?.invalid_parameters?.find(({ name }) => PARAMETERS.has(name))
  const failure = PARAMETERS.get(parameter?.name ?? '') ?? TITLES.get(problem?.title ?? '')
  if (failure) return { failure, detail: `http ${status}` }
  return refusalByCode(codeOf(problem?.type?.split('#')[1]) ?? '')
}
