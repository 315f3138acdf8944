import { z } from 'zod'
import { variable } from './documentation.ts'
import { secretText, wholeNumber } from './shapes.ts'

const collector = z.string().refine((text) => {
  const parsed = URL.parse(text)
  return /^https?:$/.test(parsed?.protocol ?? '') && !parsed?.username && !parsed?.hash
}, 'must be a URL with http: or https:, without a user or a fragment')

/** `name=value,…`, percent-encoded where it must be (W3C Baggage, without properties). */
const pairs = z.string().transform((text, context): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const pair of text.split(',').filter((part) => part.trim())) {
    const [, name = '', value = ''] = /^\s*([^\s=]+)\s*=(.*)$/.exec(pair) ?? []
    const decoded = decode(value.trim())
    if (!name || decoded === undefined) {
      context.addIssue(
        'must be like name=value,other=value, with , and = in values percent-encoded',
      )
      return z.NEVER
    }
    found.set(name, decoded)
  }
  return found
})

/** What of it becomes a header must be able to. */
const headers = pairs.refine(
  (found) =>
    [...found].every(
      ([name, value]) =>
        /^[\w!#$%&'*+.^`|~-]+$/.test(name) &&
        value.split(' ').every((word) => word === '' || secretText.safeParse(word).success),
    ),
  'must name headers, with values of printable characters',
)

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const protocol = z.enum(
  ['http/protobuf', 'http/json', 'grpc'],
  'must be http/protobuf or http/json',
)
const timeout = wholeNumber(100, 60_000)

export const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const

/** Traces, by the names that OpenTelemetry gives these variables everywhere. */
export const tracing = {
  OTEL_SDK_DISABLED: variable(
    'OTEL_SDK_DISABLED',
    z
      .string()
      .regex(/^(true|false)$/i, 'must be true or false')
      .transform((text) => text.toLowerCase() === 'true')
      .default(false),
    { meaning: '`true`: no traces, whatever else is set', example: 'true' },
  ),
  OTEL_TRACES_EXPORTER: variable(
    'OTEL_TRACES_EXPORTER',
    z.enum(['otlp', 'none'], 'must be otlp or none').optional(),
    {
      meaning: '`otlp` sends [traces](metrics.md#traces) to a collector',
      example: 'otlp',
      otherwise: '`otlp` where an endpoint is set, else `none`',
    },
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable('OTEL_EXPORTER_OTLP_ENDPOINT', collector.optional(), {
    meaning: 'the collector; traces go to `/v1/traces` under it',
    example: 'http://collector.internal:4318',
    otherwise: '`http://localhost:4318` where traces are sent',
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: variable(
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    collector.optional(),
    {
      meaning: 'where traces go, as it is',
      example: 'http://collector.internal:4318/v1/traces',
      otherwise: 'by `OTEL_EXPORTER_OTLP_ENDPOINT`',
    },
  ),
  OTEL_EXPORTER_OTLP_PROTOCOL: variable('OTEL_EXPORTER_OTLP_PROTOCOL', protocol.optional(), {
    meaning: '`http/protobuf` or `http/json`',
    example: 'http/json',
    otherwise: '`http/protobuf`',
  }),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: variable(
    'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL',
    protocol.optional(),
    {
      meaning: 'the same, for traces alone',
      example: 'http/json',
      otherwise: 'by `OTEL_EXPORTER_OTLP_PROTOCOL`',
    },
  ),
  OTEL_EXPORTER_OTLP_HEADERS: variable('OTEL_EXPORTER_OTLP_HEADERS', headers.optional(), {
    meaning: 'sent to the collector with each request',
    example: 'authorization=Bearer%20abc123',
    secret: true,
  }),
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: variable(
    'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
    headers.optional(),
    {
      meaning: 'the same, for traces alone; they come on top',
      example: 'x-scope-orgid=login',
      secret: true,
    },
  ),
  OTEL_EXPORTER_OTLP_TIMEOUT: variable('OTEL_EXPORTER_OTLP_TIMEOUT', timeout.default(10_000), {
    meaning: 'milliseconds that sending a batch may take',
    example: '5000',
  }),
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: variable(
    'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT',
    timeout.optional(),
    {
      meaning: 'the same, for traces alone',
      example: '5000',
      otherwise: 'by `OTEL_EXPORTER_OTLP_TIMEOUT`',
    },
  ),
  OTEL_SERVICE_NAME: variable('OTEL_SERVICE_NAME', z.string().trim().min(1).max(100).optional(), {
    meaning: 'what the service is called in traces',
    example: 'login',
    otherwise: '`service.name` of `OTEL_RESOURCE_ATTRIBUTES`, else `sallyport`',
  }),
  OTEL_RESOURCE_ATTRIBUTES: variable('OTEL_RESOURCE_ATTRIBUTES', pairs.optional(), {
    meaning: 'what else traces say of the service',
    example: 'deployment.environment.name=production',
  }),
  OTEL_TRACES_SAMPLER: variable(
    'OTEL_TRACES_SAMPLER',
    z.enum(SAMPLERS, `must be one of ${SAMPLERS.join(', ')}`).default('parentbased_always_on'),
    { meaning: 'which requests are traced', example: 'parentbased_traceidratio' },
  ),
  OTEL_TRACES_SAMPLER_ARG: variable(
    'OTEL_TRACES_SAMPLER_ARG',
    z
      .string()
      .regex(/^(0(\.\d{1,9})?|1(\.0{1,9})?)$/, 'must be a number from 0 to 1')
      .transform(Number)
      .default(1),
    { meaning: 'what part of them, for samplers with a ratio', example: '0.05' },
  ),
  OTEL_PROPAGATORS: variable(
    'OTEL_PROPAGATORS',
    z
      .string()
      .transform((text) => text.split(',').map((name) => name.trim()))
      .refine(
        (names) => names.every((name) => ['tracecontext', 'baggage', 'none'].includes(name)),
        'must be of tracecontext, baggage and none',
      )
      .default(['tracecontext', 'baggage']),
    {
      meaning:
        'with `tracecontext`, a trace that [your proxy](metrics.md#traces) began is gone on with; baggage is never read',
      example: 'none',
      otherwise: '`tracecontext,baggage`',
    },
  ),
}
