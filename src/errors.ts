/**
 * An expected "no" that ends the request. Its sentence is shown to the person as it is, so it never
 * carries anything secret; `code` is for programs and never changes.
 */
export class Refusal extends Error {
  readonly code: string
  readonly status: number
  readonly retryAfterSeconds: number | undefined

  constructor(code: string, status: number, sentence: string, retryAfterSeconds?: number) {
    super(sentence)
    this.name = 'Refusal'
    this.code = code
    this.status = status
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** A part we cannot do without (the database, the hashing queue) can't serve now; the caller may try again soon. */
export class Unavailable extends Refusal {
  constructor(cause: unknown, retryAfterSeconds = 2) {
    super(
      'temporarily_unavailable',
      503,
      'Something this service needs is out of reach just now. Please try again in a moment.',
      retryAfterSeconds,
    )
    this.name = 'Unavailable'
    this.cause = cause
  }
}
