import { z } from 'zod'
import type { Actor, Permission } from '../../admin/permissions.ts'
import { Refusal } from '../../errors.ts'
import type { Stream } from './streams.ts'

/** What a request brings, unread. */
export interface RawRequest {
  params: unknown
  query: unknown
  /** parsed JSON, or bytes where an operation takes those; undefined where there is none */
  body: unknown
  /** version that `If-Match` names; undefined where it names none or any */
  ifVersion: number | undefined
}

/** What is answered. */
export interface Reply {
  status: number
  body: unknown
  stream?: Stream
  /** of what `body` shows, for `ETag` */
  version?: number | undefined
  /** path of what was made, under the API's own */
  location?: string | undefined
}

/** One operation of the API: everything its document says of it, and what it does. */
export interface Route {
  id: string
  tag: string
  method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** as in `/accounts/:id` */
  path: string
  summary: string
  description?: string
  permission: Permission
  params: z.ZodObject
  query: z.ZodObject
  body: z.ZodType | undefined
  /** how many bytes it takes in place of JSON; undefined for JSON */
  bytes?: number
  status: 200 | 201 | 202 | 204
  /** undefined for an empty answer */
  answer: z.ZodType | undefined
  /** content types of an answer that is a stream; undefined for JSON */
  streams?: readonly string[]
  /** whether it takes `If-Match` and answers with an `ETag` */
  versioned: boolean
  /** refusals beside those that every operation has, by status */
  refusals: readonly number[]
  run(actor: Actor, raw: RawRequest): Promise<Reply>
}

interface Spec<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType | undefined,
  A extends z.ZodType | undefined,
> {
  id: string
  tag: string
  method: Route['method']
  path: string
  summary: string
  description?: string
  permission: Permission
  params?: P
  query?: Q
  body?: B
  status?: Route['status']
  answer?: A
  versioned?: true
  refusals?: readonly number[]
  handle(
    actor: Actor,
    input: {
      params: z.output<P>
      query: z.output<Q>
      body: B extends z.ZodType ? z.output<B> : undefined
      ifVersion: number | undefined
    },
  ): Promise<A extends z.ZodType ? Given<A> : void>
}

/** What an operation hands over: the answer, and what stands in headers. */
interface Given<A extends z.ZodType> {
  body: z.input<A>
  version?: number
  location?: string
}

const NOTHING = z.strictObject({})

/** Makes an operation of schemas and what is done with what they let through. */
export function route<
  P extends z.ZodObject = typeof NOTHING,
  Q extends z.ZodObject = typeof NOTHING,
  B extends z.ZodType | undefined = undefined,
  A extends z.ZodType | undefined = undefined,
>(spec: Spec<P, Q, B, A>): Route
export function route(
  spec: Spec<z.ZodObject, z.ZodObject, z.ZodType | undefined, z.ZodType | undefined>,
): Route {
  const { handle, versioned = false, refusals = [], ...rest } = spec
  const { params = NOTHING, query = NOTHING, body, answer } = spec
  const status = spec.status ?? (answer ? 200 : 204)
  return {
    ...rest,
    params,
    query,
    body,
    answer,
    status,
    versioned,
    refusals,
    async run(actor, raw) {
      const given = await handle(actor, {
        // What no account's id looks like is none's.
        params: read(params, raw.params, 404),
        query: read(query, raw.query, 400),
        body: body && read(body, raw.body ?? {}, 400),
        ifVersion: raw.ifVersion,
      })
      if (!answer || !given) return { status, body: undefined }
      // Only what the document promises leaves: whatever else a room returned is left out here (ADM-06).
      return {
        status,
        body: answer.parse(given.body),
        version: given.version,
        location: given.location,
      }
    },
  }
}

/** Makes an operation that only reads, and answers with more than is held at once. */
export function streamRoute<Q extends z.ZodObject>({
  handle,
  ...spec
}: Pick<Route, 'id' | 'tag' | 'path' | 'summary' | 'description' | 'permission'> & {
  query: Q
  streams: readonly string[]
  handle: (actor: Actor, query: z.output<Q>) => Stream
}): Route {
  return {
    ...spec,
    method: 'get',
    params: NOTHING,
    body: undefined,
    status: 200,
    answer: undefined,
    versioned: false,
    refusals: [],
    run: async (actor, { query }) => ({
      status: 200,
      body: undefined,
      stream: handle(actor, read(spec.query, query, 400)),
    }),
  }
}

/** Makes an operation that takes bytes as they are, and answers with nothing. */
export function bytesRoute<P extends z.ZodObject>({
  handle,
  ...spec
}: Pick<Route, 'id' | 'tag' | 'path' | 'summary' | 'description' | 'permission' | 'refusals'> & {
  params: P
  bytes: number
  handle: (actor: Actor, params: z.output<P>, bytes: Buffer) => Promise<void>
}): Route {
  return {
    ...spec,
    method: 'put',
    query: NOTHING,
    body: undefined,
    status: 204,
    answer: undefined,
    versioned: false,
    async run(actor, { params, query, body }) {
      read(NOTHING, query, 400)
      const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
      await handle(actor, read(spec.params, params, 404), bytes)
      return { status: 204, body: undefined }
    },
  }
}

/** A request whose members aren't what they must be; each fault with the place it is at. */
export class Invalid extends Refusal {
  readonly faults: ReadonlyArray<{ path: string; message: string }>

  constructor(error: z.ZodError, status: 400 | 404) {
    const sentence =
      status === 404 ? 'There is no such thing.' : 'The request is not as it must be; see errors.'
    super(status === 404 ? 'not_found' : 'invalid_request', status, sentence)
    this.name = 'Invalid'
    this.faults = error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  }
}

function read<T extends z.ZodType>(schema: T, value: unknown, status: 400 | 404): z.output<T> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new Invalid(parsed.error, status)
}
