import type { Config } from './config.ts'
import { isGatewayName } from './gateway-rules.ts'
import { defaultOf, documentation } from './variables.ts'

/** One variable as an admin may see it. */
export interface Setting {
  name: string
  meaning: string
  /** whether the environment says it */
  given: boolean
  /** what holds; null where only whether it is given is told */
  value: string | null
  /** what it is where it isn't given; null for nothing */
  otherwise: string | null
}

export interface SettingGroup {
  title: string
  /** whether it is of little interest here */
  folded: boolean
  settings: readonly Setting[]
}

type Shown = string | number | boolean | undefined | Iterable<string>
/** How a variable's value is read from the half of the configuration that may be printed; null where it isn't there. */
type Readers = Readonly<Record<string, ((config: Config) => Shown) | null>>

/**
 * A value reaches a page only by a reader here, and readers are given no secrets: what isn't listed, or is listed
 * without one, is told to be set or not, and no more.
 */
const GROUPS: ReadonlyArray<{ title: string; readers: Readers }> = [
  {
    title: 'The service',
    readers: {
      NODE_ENV: ({ production }) => (production ? 'production' : 'development'),
      ISSUER: ({ issuer }) => issuer,
      HOST: ({ host }) => host,
      PORT: ({ port }) => port,
      TRUST_PROXY: ({ trustedProxies }) => trustedProxies,
      METRICS_PORT: ({ metricsPort }) => metricsPort,
      DRAIN_SECONDS: ({ drainSeconds }) => drainSeconds,
      LOG_LEVEL: ({ logLevel }) => logLevel,
      AUDIT_RETENTION_DAYS: ({ auditRetentionDays }) => auditRetentionDays,
      DYNAMIC_REGISTRATION: ({ dynamicRegistration }) => (dynamicRegistration ? 'token' : 'off'),
      REGISTRATION_ALLOWED_HOSTS: ({ registrationHosts }) => [...registrationHosts],
    },
  },
  {
    title: 'Database and keys',
    readers: {
      DATABASE_URL: null,
      DATABASE_POOL_SIZE: ({ poolSize }) => poolSize,
      DATA_DIR: ({ dataDir }) => dataDir,
      ENCRYPTION_KEYS: null,
      COOKIE_KEYS: null,
      SIGNING_KEY_ROTATION_DAYS: ({ signingKeyRotationDays }) => signingKeyRotationDays,
    },
  },
  {
    title: 'Pages',
    readers: {
      BRAND_NAME: ({ brand }) => brand.name,
      BRAND_LOGO_URL: ({ brand }) => brand.logoUrl,
      BRAND_COLOR: ({ brand }) => brand.color,
      DEFAULT_LOCALE: ({ defaultLocale }) => defaultLocale,
      DEFAULT_COUNTRY: ({ defaultCountry }) => defaultCountry,
    },
  },
  {
    title: 'Second factor',
    readers: {
      SECOND_FACTOR: ({ secondFactor }) => secondFactor,
      SELF_ENROLMENT: ({ selfEnrolment }) => (selfEnrolment ? 'first-login' : 'off'),
      PHONE_SHARING: ({ phoneSharing }) => phoneSharing,
      PHONE_HOLD_OFF_HOURS: ({ holdOffSeconds }) => holdOffSeconds / 3600,
      TRUSTED_DEVICE_DAYS: ({ trustedDeviceDays }) => trustedDeviceDays,
      BYPASS_CODE_MINUTES: ({ bypassCodes }) => bypassCodes.minutes,
      BYPASS_CODE_CONSENT: ({ bypassCodes }) => bypassCodes.consent,
      OTP_LENGTH: ({ otp }) => otp.length,
      OTP_TTL_SECONDS: ({ otp }) => otp.ttlSeconds,
      OTP_MAX_ATTEMPTS: ({ otp }) => otp.maxAttempts,
      OTP_RESEND_SECONDS: ({ otp }) => otp.resendSeconds,
      OTP_MAX_SENDS: ({ otp }) => otp.maxSends,
    },
  },
  {
    title: 'Texts and calls',
    readers: {
      SMS_GATEWAYS: ({ sms }) => sms.gateways,
      SMS_ROUTES: ({ sms }) =>
        [...sms.routes].map(([country, names]) => `${country}=${names.join(',')}`).join(';'),
      VOICE_GATEWAYS: ({ sms }) => sms.voiceGateways,
      SMS_SENDER: ({ sms }) => sms.sender,
      SMS_NUMERIC_COUNTRIES: ({ sms }) => sms.numericCountries,
      SMS_ALLOWED_COUNTRIES: ({ sms }) => sms.allowedCountries,
      SMS_DELIVERY_WAIT_SECONDS: ({ sms }) => sms.deliveryWaitSeconds,
      SIM_SWAP_URL: null,
      SIM_SWAP_TOKEN: null,
      SIM_SWAP_HOURS: ({ simSwap }) => simSwap?.hours,
      SIM_SWAP_POLICY: ({ simSwap }) => simSwap?.policy,
    },
  },
  {
    title: 'Limits of texts',
    readers: {
      SMS_LIMIT_PHONE_HOUR: ({ sms }) => sms.limits.phoneHour,
      SMS_LIMIT_PHONE_DAY: ({ sms }) => sms.limits.phoneDay,
      SMS_LIMIT_UNANSWERED: ({ sms }) => sms.limits.unanswered,
      SMS_LIMIT_IP_HOUR: ({ sms }) => sms.limits.addressHour,
      SMS_LIMIT_PREFIX_HOUR: ({ sms }) => sms.limits.prefixHour,
      SMS_LIMIT_PREFIX_UNANSWERED: ({ sms }) => sms.limits.prefixUnanswered,
      SMS_LIMIT_COUNTRY_HOUR: ({ sms }) => sms.limits.countryHour,
      SMS_LIMIT_GLOBAL_HOUR: ({ sms }) => sms.limits.globalHour,
      SMS_LIMIT_GLOBAL_DAY: ({ sms }) => sms.limits.globalDay,
    },
  },
  {
    title: 'Traces',
    readers: {
      OTEL_TRACES_EXPORTER: ({ tracing }) => (tracing ? 'otlp' : 'none'),
      OTEL_SERVICE_NAME: ({ tracing }) => tracing?.serviceName,
      OTEL_TRACES_SAMPLER: ({ tracing }) =>
        tracing && `${tracing.sampler.parentBased ? 'parentbased_' : ''}${tracing.sampler.root}`,
      OTEL_TRACES_SAMPLER_ARG: ({ tracing }) => tracing?.sampler.ratio,
    },
  },
  {
    title: 'Mail',
    readers: {
      SMTP_URL: null,
      MAIL_FROM: ({ mail }) =>
        mail.from &&
        (mail.from.name ? `${mail.from.name} <${mail.from.address}>` : mail.from.address),
    },
  },
]

/** Every variable there is, with what holds; secrets only as set or not. */
export function settingsOf(config: Config): SettingGroup[] {
  const listed = new Set(GROUPS.flatMap(({ readers }) => Object.keys(readers)))
  const rest = [...documentation.keys()].filter((name) => !listed.has(name))
  const gateways = Map.groupBy(rest, gatewayOf)
  const others = gateways.get(undefined) ?? []
  gateways.delete(undefined)
  const isUsed = (names: readonly string[]) => names.some((name) => config.given.includes(name))
  const used = [...gateways].filter(([, names]) => isUsed(names))
  const unused = [...gateways].filter(([, names]) => !isUsed(names))
  const groups = [
    ...GROUPS,
    ...used.map(([gateway, names]) => ({ title: `Gateway ${gateway}`, readers: unread(names) })),
    { title: 'Others', readers: unread(others) },
    {
      title: 'Gateways that aren’t set up',
      readers: unread(unused.flatMap(([, names]) => names)),
      folded: true,
    },
  ]
  return groups
    .map(({ title, readers, ...group }) => ({
      title,
      folded: 'folded' in group,
      settings: Object.entries(readers).map(([name, reader]) => settingOf(config, name, reader)),
    }))
    .filter(({ settings }) => settings.length > 0)
}

function settingOf(config: Config, name: string, reader: Readers[string] = null): Setting {
  const { meaning = '', otherwise } = documentation.get(name) ?? {}
  const value = reader ? textOf(reader(config)) : null
  return {
    name,
    meaning: plain(meaning),
    given: config.given.includes(name),
    value,
    otherwise: plain(otherwise ?? defaultOf(name) ?? '') || null,
  }
}

function textOf(value: Shown): string | null {
  if (value === undefined || value === '') return null
  if (typeof value === 'object') return [...value].join(', ') || null
  return String(value)
}

/** Without the marks of the documentation, code and links. */
function plain(text: string): string {
  return text.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1').replaceAll('`', '')
}

const unread = (names: readonly string[]): Readers =>
  Object.fromEntries(names.map((name) => [name, null]))

/** `TWILIO_…` belongs to the gateway twilio, `HTTP_SMS_…` to http. */
function gatewayOf(name: string): string | undefined {
  const gateway = name.split('_', 1).join('').toLowerCase()
  return isGatewayName(gateway) ? gateway : undefined
}
