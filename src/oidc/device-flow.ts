import Provider, {
  type AdapterPayload,
  type Configuration,
  errors,
  type KoaContextWithOIDC,
} from 'oidc-provider'
import { z } from 'zod'
import { circumstances } from '../audit/circumstances.ts'
import type { DeviceRequests } from './adapter.ts'
import { type Devices, POLL_SECONDS } from './devices.ts'
import type { UnitsOfWork } from './unit-of-work.ts'

/** What a device's pages need in their forms. */
export interface DeviceForm {
  actionUrl: string
  xsrf: string
}

/** Why a code leads nowhere. */
export type DeviceProblem = 'missing' | 'wrong' | 'used' | 'limited' | 'over'

/** The pages on which people connect a device. */
export interface DevicePages {
  /** Asks for the code. @param waitSeconds until codes are judged again, where they aren't now */
  ask(
    ctx: KoaContextWithOIDC,
    form: DeviceForm,
    problem?: DeviceProblem,
    waitSeconds?: number,
  ): void
  /** Asks whether it is the person's own device. @param scopes what it asks for */
  confirm(
    ctx: KoaContextWithOIDC,
    form: DeviceForm,
    device: { app: string; code: string; scopes: readonly string[] },
  ): void
  /** Says how it ended. */
  told(ctx: KoaContextWithOIDC, how: 'connected' | 'refused' | 'over'): void
  error(
    ctx: KoaContextWithOIDC,
    out: { error: string; error_description?: string },
    error: Error | errors.OIDCProviderError,
  ): void
}

interface Dependencies {
  devices: Devices
  units: UnitsOfWork
  pages: DevicePages
}

type Feature = NonNullable<NonNullable<Configuration['features']>['deviceFlow']>

/** What codes are made of: no vowels that spell words, nothing that looks like something else (RFC 8628 section 6.1). */
const USER_CODE = /^[BCDFGHJKLMNPQRSTVWXZ]{8}$/
const CODE_MASK = '****-****'

/** Too many wrong codes were typed for one more to be judged. */
class TooManyCodes extends errors.OIDCProviderError {
  override readonly name = 'TooManyCodes'
  readonly waitSeconds: number

  constructor(waitSeconds: number) {
    super(429, 'slow_down')
    this.error_description = 'too many wrong codes; try again later'
    this.waitSeconds = waitSeconds
  }
}

/** By the names that the provider gives its errors. */
const PROBLEMS: Readonly<Record<string, DeviceProblem>> = {
  NoCodeError: 'missing',
  NotFoundError: 'wrong',
  ExpiredError: 'wrong',
  AlreadyUsedError: 'used',
  SessionNotFound: 'over',
  InvalidRequest: 'over',
}

const asked = z.object({ scope: z.string().default('') })

/** The device authorization grant (RFC 8628): the provider's, with our limits and pages. */
export function createDeviceFlow({ devices, units, pages }: Dependencies) {
  const requests: DeviceRequests = {
    async find(deviceCode) {
      const found = await units.current().find('DeviceCode', deviceCode)
      if (found && isWaitedFor(found) && (await devices.isHasty(deviceCode)))
        throw new errors.SlowDown()
      return found
    },

    findByUserCode,
  }

  async function findByUserCode(code: string): Promise<AdapterPayload | undefined> {
    // What no device shows needn't be counted.
    if (!USER_CODE.test(code)) return undefined
    const { address, network } = circumstances()
    const from = { address: address ?? '', network: network ?? '' }
    const wait = await devices.countTry(from)
    if (wait > 0) throw new TooManyCodes(wait)
    const found = await units.current().findByUserCode(code)
    if (found) await devices.forgiveTry(from)
    return found
  }

  const feature: Feature = {
    enabled: true,
    charset: 'base-20',
    mask: CODE_MASK,
    // Where a device stands says little of whose it is, so it isn't kept.
    deviceInfo: () => ({}),

    async userCodeInputSource(ctx, _form, out, error) {
      if (!error) return pages.ask(ctx, formOf(ctx))
      if (error.name === 'AbortedError') {
        const { entities, session } = ctx.oidc
        const clientId = entities.DeviceCode?.clientId ?? entities.Interaction?.params.client_id
        units.current().tell({
          type: 'device.denied',
          accountId: session?.accountId ?? null,
          clientId: typeof clientId === 'string' ? clientId : null,
        })
        return pages.told(ctx, 'refused')
      }
      if (error instanceof TooManyCodes)
        return pages.ask(ctx, formOf(ctx), 'limited', error.waitSeconds)
      const problem = PROBLEMS[error.name]
      const { session } = ctx.oidc
      // A browser that kept no session can't send a form of one, and the provider can't save one now.
      if (problem === 'over' && session && session.exp === undefined) {
        Reflect.set(session, 'touched', false)
        return pages.told(ctx, 'over')
      }
      if (problem) return pages.ask(ctx, formOf(ctx), problem)
      pages.error(ctx, { error: 'server_error', ...out }, error)
    },

    async userCodeConfirmSource(ctx, _form, client, _info, code) {
      const { scope } = asked.parse(ctx.oidc.entities.DeviceCode?.params ?? {})
      pages.confirm(ctx, formOf(ctx), {
        app: client.clientName ?? client.clientId,
        code,
        scopes: scope.split(' ').filter(Boolean),
      })
    },

    async successSource(ctx) {
      pages.told(ctx, 'connected')
    },
  }

  /** Tells devices how often they may ask (RFC 8628 section 3.2). */
  function tellInterval(provider: Provider): void {
    provider.on('device_authorization.success', (_ctx, body) => {
      Object.assign(body, { interval: POLL_SECONDS })
    })
  }

  return { feature, requests, tellInterval }
}

/** Whether a device asks for what its person hasn't decided yet. Whoever else asks is refused without slowing it down. */
function isWaitedFor({ clientId, exp = 0, accountId, error }: AdapterPayload): boolean {
  const oidc = Provider.ctx?.oidc
  const own = oidc?.route === 'token' && oidc.client?.clientId === clientId
  return own && exp > Date.now() / 1000 && !accountId && !error
}

function formOf({ oidc }: KoaContextWithOIDC): DeviceForm {
  const { secret } = z.object({ secret: z.string() }).parse(oidc.session?.state)
  return { actionUrl: oidc.urlFor('code_verification'), xsrf: secret }
}
