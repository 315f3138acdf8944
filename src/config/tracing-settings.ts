import type { Variables } from './variables.ts'

/** Where traces go, and which; headers are secrets and not among it. */
export interface TracingSettings {
  url: string
  protocol: 'http/protobuf' | 'http/json'
  timeoutMs: number
  serviceName: string
  attributes: Readonly<Record<string, string>>
  sampler: {
    root: 'always_on' | 'always_off' | 'traceidratio'
    ratio: number
    parentBased: boolean
  }
  /** whether a trace that a request names is gone on with: only where a proxy that is trusted hands it on */
  takesParents: boolean
}

/** @returns undefined where no traces are sent */
export function tracingOf(v: Variables): TracingSettings | undefined {
  if (!isOn(v)) return undefined
  const protocol = protocolOf(v)
  const { 'service.name': named, ...attributes } = Object.fromEntries(
    v.OTEL_RESOURCE_ATTRIBUTES ?? [],
  )
  return {
    url: v.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? under(v.OTEL_EXPORTER_OTLP_ENDPOINT),
    protocol: protocol === 'grpc' ? 'http/protobuf' : protocol,
    timeoutMs: v.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT ?? v.OTEL_EXPORTER_OTLP_TIMEOUT,
    serviceName: v.OTEL_SERVICE_NAME ?? named ?? 'sallyport',
    attributes,
    sampler: samplerOf(v),
    takesParents: v.OTEL_PROPAGATORS.includes('tracecontext') && v.TRUST_PROXY > 0,
  }
}

export function tracingHeaders(v: Variables): Readonly<Record<string, string>> {
  return Object.fromEntries([
    ...(v.OTEL_EXPORTER_OTLP_HEADERS ?? []),
    ...(v.OTEL_EXPORTER_OTLP_TRACES_HEADERS ?? []),
  ])
}

/** A cluster may set it for everybody; it stops a start only where it would be used. */
export function tracingFaults(v: Variables): Array<{ variable: string; problem: string }> {
  if (!isOn(v) || protocolOf(v) !== 'grpc') return []
  const variable = v.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL
    ? 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'
    : 'OTEL_EXPORTER_OTLP_PROTOCOL'
  return [{ variable, problem: 'must be http/protobuf or http/json: traces are not sent by gRPC' }]
}

function isOn(v: Variables): boolean {
  if (v.OTEL_SDK_DISABLED) return false
  if (v.OTEL_TRACES_EXPORTER !== undefined) return v.OTEL_TRACES_EXPORTER === 'otlp'
  return (v.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? v.OTEL_EXPORTER_OTLP_ENDPOINT) !== undefined
}

function protocolOf(v: Variables) {
  return v.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? v.OTEL_EXPORTER_OTLP_PROTOCOL ?? 'http/protobuf'
}

function under(endpoint = 'http://localhost:4318'): string {
  const url = new URL(endpoint)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return url.href
}

function samplerOf(v: Variables): TracingSettings['sampler'] {
  const { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio } = v
  switch (name) {
    case 'always_on':
    case 'always_off':
    case 'traceidratio':
      return { root: name, ratio, parentBased: false }
    case 'parentbased_always_on':
      return { root: 'always_on', ratio, parentBased: true }
    case 'parentbased_always_off':
      return { root: 'always_off', ratio, parentBased: true }
    case 'parentbased_traceidratio':
      return { root: 'traceidratio', ratio, parentBased: true }
  }
}
