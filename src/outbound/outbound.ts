import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { isPublicAddress } from './addresses.ts'
import { judgeTarget } from './targets.ts'

/** Every address that a name leads to. */
export type Resolve = (host: string) => Promise<readonly string[]>

const resolveBySystem: Resolve = async (host) =>
  (await systemLookup(host, { all: true })).map(({ address }) => address)

const TIMEOUT_MS = 10_000
/** What answers say is of no interest; so much is read, to use the connection again. */
const MAX_ANSWER_BYTES = 4096

const LEADS_INSIDE = 'must not lead inside: its name has an address of a private network'

class LeadsInside extends Error {
  override readonly name = 'LeadsInside'
}

export type Outbound = ReturnType<typeof createOutbound>

/**
 * Requests to addresses that somebody else chose. They reach nothing inside: names are resolved here, a name with any
 * address that isn't public is refused, and the connection goes to the very addresses that were looked at, so a
 * name that leads elsewhere the next moment (DNS rebinding) doesn't help. Redirects aren't followed.
 *
 * @param trustedHosts names and addresses, as `URL` writes them, for which none of that holds
 * @param timeoutMs for one request, from the first look at its name to the end of the answer
 */
export function createOutbound({
  trustedHosts,
  resolve = resolveBySystem,
  timeoutMs = TIMEOUT_MS,
}: {
  trustedHosts: ReadonlySet<string>
  resolve?: Resolve
  timeoutMs?: number
}) {
  /** @throws LeadsInside */
  async function publicAddresses(host: string): Promise<readonly string[]> {
    const addresses = await resolve(host)
    if (addresses.length === 0 || !addresses.every(isPublicAddress)) throw new LeadsInside()
    return addresses
  }

  // Asked for each new connection, which is then made to what it answers and nothing else.
  const lookup: LookupFunction = (host, { all }, done) => {
    publicAddresses(host).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: isIP(address) }))
        const [{ address, family } = { address: '', family: 0 }] = found
        if (all) done(null, found)
        else done(null, address, family)
      },
      (error: NodeJS.ErrnoException) => done(error, ''),
    )
  }

  async function load() {
    const { Agent, request } = await import('undici')
    const guarded = new Agent({ connect: { timeout: timeoutMs, lookup } })
    const free = new Agent({ connect: { timeout: timeoutMs } })
    return { request, guarded, free }
  }

  let loading: ReturnType<typeof load> | undefined
  /** What requests are made with, which is loaded for the first of them: a command seldom makes any. */
  function loaded() {
    loading ??= load()
    return loading
  }

  return {
    /** What is wrong with an address, as far as it tells by itself, as the end of a sentence; undefined when nothing is. */
    judge(text: string): string | undefined {
      const target = judgeTarget(text, trustedHosts)
      return 'problem' in target ? target.problem : undefined
    },

    /**
     * `fetch`, guarded, for a library that takes one. The caller limits time and size; no redirect is followed.
     * @throws Error for an address that must not be asked
     */
    async fetch(url: string, { method, headers, body, signal }: RequestInit = {}) {
      const target = judgeTarget(url, trustedHosts)
      if ('problem' in target) throw new Error(`the URL ${target.problem}`)
      const { request, guarded, free } = await loaded()
      const answer = await request(target.url, {
        method: method === 'POST' ? 'POST' : 'GET',
        headers: Object.fromEntries(new Headers(headers)),
        ...(typeof body === 'string' && { body }),
        ...(body instanceof URLSearchParams && { body: body.toString() }),
        ...(signal && { signal }),
        dispatcher: target.trusted ? free : guarded,
      })
      return new Response(answer.statusCode === 204 ? null : ReadableStream.from(answer.body), {
        status: answer.statusCode,
        headers: plainHeaders(answer.headers),
      })
    },

    /**
     * Whether something could be sent to an address now; it is looked at again whenever something is.
     * @returns what is wrong, as the end of a sentence; undefined when nothing is
     */
    async check(text: string): Promise<string | undefined> {
      const target = judgeTarget(text, trustedHosts)
      if ('problem' in target) return target.problem
      if (target.trusted || isIP(target.host)) return undefined
      const late = pause(timeoutMs, null, { ref: false }).then(() => Promise.reject(new Error()))
      try {
        await Promise.race([publicAddresses(target.host), late])
        return undefined
      } catch (error) {
        return error instanceof LeadsInside ? LEADS_INSIDE : 'must name a host that can be found'
      }
    },

    /**
     * Posts a body, and tells with what status it was answered, or why it wasn't. Never throws.
     * @param timeoutMs for this request, if it is to have less
     */
    async post(
      text: string,
      {
        headers,
        body,
        timeoutMs: mostMs = timeoutMs,
      }: { headers: Readonly<Record<string, string>>; body: string; timeoutMs?: number },
    ): Promise<{ status: number } | { problem: string }> {
      const target = judgeTarget(text, trustedHosts)
      if ('problem' in target) return { problem: `the URL ${target.problem}` }
      const signal = AbortSignal.timeout(Math.min(mostMs, timeoutMs))
      try {
        const { request, guarded, free } = await loaded()
        const answer = await request(target.url, {
          method: 'POST',
          headers,
          body,
          signal,
          dispatcher: target.trusted ? free : guarded,
        })
        // What it said is known by its status, however its body goes on.
        await answer.body.dump({ limit: MAX_ANSWER_BYTES, signal }).catch(() => {})
        return { status: answer.statusCode }
      } catch (error) {
        return { problem: signal.aborted ? 'no answer in time' : problemOf(error) }
      }
    },

    /** Lets go of the connections. */
    async close(): Promise<void> {
      if (!loading) return
      const { guarded, free } = await loading
      await Promise.all([guarded.destroy(), free.destroy()])
    },
  }
}

/** Only a code is told: messages name hosts and may name more. */
function problemOf(error: unknown): string {
  if (error instanceof LeadsInside) return `the URL ${LEADS_INSIDE}`
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : 'connection failed'
}

function plainHeaders(headers: Record<string, string | string[] | undefined>): Headers {
  const plain = new Headers()
  for (const [name, value] of Object.entries(headers))
    for (const one of [value ?? []].flat()) plain.append(name, one)
  return plain
}
