import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Context, SpanContext, Span as SpanOfApi } from '@opentelemetry/api'
import type { Sampler } from '@opentelemetry/sdk-trace'
import type { TracingSettings } from './config/tracing-settings.ts'
import type { Log } from './log.ts'
import { type Span, type Tracer, traceWith, type Work } from './tracing.ts'

/** A collector that is away mustn't keep the process from ending. */
const LAST_WORDS_MS = 3000
/** A collector that is away for long is told of once in so long. */
const TOLD_EVERY_MS = 60_000

interface Settings {
  tracing: TracingSettings
  /** sent to the collector with each request */
  headers: Readonly<Record<string, string>>
  version: string
  log: Log
}

/**
 * Sends traces to an OpenTelemetry collector from now on. The packages that do it are read only here and now, so a
 * server without traces starts without them.
 *
 * @returns what sends the last ones, and ends it
 */
export async function exportTraces({ tracing, headers, version, log }: Settings) {
  const [
    api,
    sdk,
    { resourceFromAttributes },
    { AsyncLocalStorageContextManager },
    core,
    exporter,
  ] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/core'),
    tracing.protocol === 'http/json'
      ? import('@opentelemetry/exporter-trace-otlp-http')
      : import('@opentelemetry/exporter-trace-otlp-proto'),
  ])
  const notTaken = seldom(() => log.warn('traces were not taken by the collector'))
  core.setGlobalErrorHandler(notTaken)
  const { OTLPTraceExporter } = exporter
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      ...tracing.attributes,
      'service.name': tracing.serviceName,
      'service.version': version,
      'service.instance.id': randomUUID(),
    }),
    sampler: samplerOf(sdk, tracing.sampler),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter({
          url: tracing.url,
          headers: { ...headers },
          timeoutMillis: tracing.timeoutMs,
        }),
      }),
    ],
  })
  const contexts = new AsyncLocalStorageContextManager().enable()
  const spans = provider.getTracer('sallyport', version)
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = api
  const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT }

  function contextOf({ parent }: Work): Context {
    const active = contexts.active()
    const remote = parent === undefined ? undefined : parseParent(parent)
    return remote ? trace.setSpanContext(active, remote) : active
  }

  const tracer: Tracer = {
    async follow(work, run) {
      const context = contextOf(work)
      const { name, kind, attributes = {} } = work
      const span = spans.startSpan(name, { kind: kinds[kind], attributes }, context)
      try {
        const told = toldOf(span, SpanStatusCode.ERROR)
        return await contexts.with(trace.setSpan(context, span), () => run(told))
      } catch (error) {
        span.setAttribute('error.type', kindOf(error))
        span.setStatus({ code: SpanStatusCode.ERROR })
        throw error
      } finally {
        span.end()
      }
    },
    isFollowing: () => trace.getSpanContext(contexts.active()) !== undefined,
    apart: (run) => contexts.with(ROOT_CONTEXT, run),
  }
  traceWith(tracer)

  return async (): Promise<void> => {
    traceWith(undefined)
    await Promise.race([
      provider.shutdown().catch(notTaken),
      pause(LAST_WORDS_MS, undefined, { ref: false }),
    ])
  }
}

function toldOf(span: SpanOfApi, error: number): Span {
  return {
    traceId: span.spanContext().traceId,
    rename: (name) => void span.updateName(name),
    note: (attributes) => void span.setAttributes(attributes),
    fail(kind) {
      span.setAttribute('error.type', kind)
      span.setStatus({ code: error })
    },
  }
}

/** W3C Trace Context, version 00. */
const PARENT = /^00-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})$/

function parseParent(header: string): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = ''] = PARENT.exec(header) ?? []
  if (!/[^0]/.test(traceId) || !/[^0]/.test(spanId)) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true }
}

/** Only a code or name: messages quote what was asked. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}

function samplerOf(
  sdk: typeof import('@opentelemetry/sdk-trace'),
  { root, ratio, parentBased }: TracingSettings['sampler'],
): Sampler {
  const roots = {
    always_on: () => new sdk.AlwaysOnSampler(),
    always_off: () => new sdk.AlwaysOffSampler(),
    traceidratio: () => new sdk.TraceIdRatioBasedSampler(ratio),
  }
  const chosen = roots[root]()
  return parentBased ? new sdk.ParentBasedSampler({ root: chosen }) : chosen
}

function seldom(tell: () => void): () => void {
  let toldAt = Number.NEGATIVE_INFINITY
  return () => {
    if (performance.now() - toldAt < TOLD_EVERY_MS) return
    toldAt = performance.now()
    tell()
  }
}
