import { createServer } from 'node:http'
import { z } from 'zod'
import { freePort } from './ports.ts'

const id = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
    .refine((text) => /[^0]/.test(text))
const time = z.string().regex(/^\d{19}$/)
const value = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ boolValue: z.boolean() }),
  z.strictObject({ intValue: z.union([z.int(), z.string().regex(/^-?\d+$/)]) }),
  z.strictObject({ doubleValue: z.number() }),
])
const attributes = z
  .array(z.strictObject({ key: z.string().min(1), value }))
  .transform((pairs) =>
    Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]])),
  )
const span = z.strictObject({
  traceId: id(16),
  spanId: id(8),
  parentSpanId: id(8).optional(),
  traceState: z.string().optional(),
  name: z.string().min(1),
  kind: z.int().min(1).max(5),
  startTimeUnixNano: time,
  endTimeUnixNano: time,
  attributes,
  droppedAttributesCount: z.literal(0),
  events: z.array(z.never()),
  droppedEventsCount: z.literal(0),
  status: z.strictObject({ code: z.int().min(0).max(2) }),
  links: z.array(z.never()),
  droppedLinksCount: z.literal(0),
  flags: z.int().optional(),
})
const request = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.object({ attributes, droppedAttributesCount: z.literal(0) }),
      scopeSpans: z.array(
        z.strictObject({
          scope: z.strictObject({ name: z.literal('sallyport'), version: z.string() }),
          spans: z.array(span).min(1),
        }),
      ),
    }),
  ),
})

export type TracedSpan = z.output<typeof span>

export interface Delivery {
  path: string
  headers: Record<string, unknown>
  body: Buffer
}

/** An OpenTelemetry collector that takes traces by HTTP, and takes nothing that isn't as OTLP has it. */
export async function startFakeCollector() {
  const deliveries: Delivery[] = []
  const faults: string[] = []
  const spans: TracedSpan[] = []
  const resources: Array<Record<string, unknown>> = []
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const { method, url: path = '', headers } = incoming
    deliveries.push({ path, headers, body })
    if (method !== 'POST') faults.push(`${method} ${path}`)
    if (headers['content-type'] === 'application/json') {
      const parsed = request.safeParse(JSON.parse(body.toString()))
      if (!parsed.success) faults.push(z.prettifyError(parsed.error))
      for (const { resource, scopeSpans } of parsed.data?.resourceSpans ?? []) {
        resources.push(resource.attributes)
        spans.push(...scopeSpans.flatMap((scope) => scope.spans))
      }
    } else if (headers['content-type'] !== 'application/x-protobuf')
      faults.push(`content type ${headers['content-type']}`)
    response.writeHead(200, { 'Content-Type': headers['content-type'] ?? '' })
    response.end(headers['content-type'] === 'application/json' ? '{}' : '')
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${port}`,
    deliveries,
    /** what was not as it must be */
    faults,
    spans,
    resources,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}
