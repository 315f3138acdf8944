import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino'

export type Log = Logger

/** Long digit runs are phone numbers or codes: neither belongs in a log. */
const DIGITS = /\+?\d[\d\s()-]{4,}\d/g

/** Names whose value is never written, wherever in a logged object they stand (one and two levels deep). */
const SECRET_NAMES = [
  'password',
  'code',
  'secret',
  'token',
  'cookie',
  'authorization',
  'text',
  'number',
  'to',
]

/**
 * JSON lines on standard output; readable ones for a person in development.
 * Rooms log facts by id; as a second line of defence, fields named like secrets are cut out and
 * long digit runs in error texts are masked.
 *
 * @param destination where JSON lines go instead of standard output
 * @param surroundings what each line says of where it was written, where it doesn't itself
 */
export function createLog(
  level: string,
  readable: boolean,
  destination?: DestinationStream,
  surroundings: () => Record<string, string> = () => ({}),
): Log {
  const options: LoggerOptions = {
    level,
    mixin: surroundings,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_NAMES.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    serializers: { error: describeError },
  }
  if (readable)
    return pino({
      ...options,
      transport: { target: 'pino-pretty', options: { ignore: 'level', sync: true } },
    })
  return pino(options, destination ?? standardOutput())
}

/** Lines that can't be written wait in this many bytes, and then are lost. */
const MOST_WAITING = 1024 * 1024

/** A log that can't be written, as on a full volume, must not end the service; what counts is in the audit trail. */
function standardOutput(): DestinationStream {
  const output = pino.destination({ dest: 1, maxLength: MOST_WAITING })
  let broken = false
  output.on('error', () => {
    broken = true
  })
  output.on('write', () => {
    broken = false
  })
  // At the end of the process it would try for ever to write what is left.
  const flush = output.flushSync.bind(output)
  output.flushSync = () => {
    if (!broken) flush()
  }
  return output
}

/** An error as it may be logged: kind, code and message without long digit runs; the stack without its message. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: maskDigits(String(error)) }
  const code = 'code' in error ? error.code : undefined
  return {
    name: error.name,
    message: maskDigits(error.message),
    // Not `code`: what stands under that name is cut out.
    ...(code === undefined ? {} : { fault: code }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
    stack: error.stack
      ?.split('\n')
      .filter((line) => line.startsWith('    at '))
      .slice(0, 12),
  }
}

function maskDigits(text: string): string {
  return text.replace(DIGITS, '[digits]')
}
