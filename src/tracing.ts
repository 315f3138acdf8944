/** What a trace tells of a piece of work: never anything of a person, nor a code, token or address with ids. */
export type Attributes = Readonly<Record<string, string | number | boolean>>

/** A piece of work in a trace, while it goes on. */
export interface Span {
  /** its id in the trace, for the log; undefined where no trace is kept */
  readonly traceId: string | undefined
  rename(name: string): void
  note(attributes: Attributes): void
  /** @param kind in a word, never an error's own message */
  fail(kind: string): void
}

export interface Work {
  name: string
  kind: 'server' | 'client'
  attributes?: Attributes
  /** W3C Trace Context of whoever asks for it, where that may be believed */
  parent?: string | undefined
}

export interface Tracer {
  follow<T>(work: Work, run: (span: Span) => Promise<T>): Promise<T>
  /** whether something is being followed */
  isFollowing(): boolean
  /** Runs what has nothing to do with what is being followed. */
  apart<T>(run: () => T): T
}

const UNTRACED: Span = { traceId: undefined, rename() {}, note() {}, fail() {} }

/** Like its log, a process has one; without it nothing is followed, and following costs nothing. */
let tracer: Tracer | undefined

export function traceWith(chosen: Tracer | undefined): void {
  tracer = chosen
}

/** Does a piece of work, as a span of its own where traces are kept. */
export function traced<T>(work: Work, run: (span: Span) => Promise<T>): Promise<T> {
  return tracer ? tracer.follow(work, run) : run(UNTRACED)
}

/** The same where it is part of something that is followed; what is done every few seconds makes no trace. */
export function tracedWithin<T>(work: () => Work, run: (span: Span) => Promise<T>): Promise<T> {
  return tracer?.isFollowing() ? tracer.follow(work(), run) : run(UNTRACED)
}

/** Runs what goes on beside the work at hand, such as a round of a worker that was woken by it. */
export function untraced<T>(run: () => T): T {
  return tracer ? tracer.apart(run) : run()
}
