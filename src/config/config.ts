import { type GatewayName, gatewayFaults, isGatewayName } from './gateway-rules.ts'
import { gatewaySettings } from './gateway-settings.ts'
import { isInternalHost, isLoopbackHost } from './shapes.ts'
import { tracingFaults, tracingHeaders, tracingOf } from './tracing-settings.ts'
import { documentation, type Variables, variables } from './variables.ts'

/** What is wrong with one variable, and what a good value looks like. */
export interface Fault {
  variable: string
  problem: string
}

/** Stops the start: its message lists every fault at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    super(['The configuration has faults:', ...faults.map(describe)].join('\n'))
    this.faults = faults
  }
}

function describe({ variable, problem }: Fault): string {
  const example = documentation.get(variable)?.example
  return `  ${variable} ${problem}.${example ? ` ${exampleOf(variable, example)}` : ''}`
}

function exampleOf(variable: string, example: string): string {
  // Some values can't be shown, only how to get one.
  if (example.startsWith('the output')) return `Paste ${example.replaceAll('`', '"')} there.`
  return `Example: ${variable}=${example.replaceAll('`', '')}`
}

/** Values of `.env.example` carry this mark, so that a copied file can't be mistaken for a filled-in one. */
const SAMPLE_MARK = 'change-me'

/** Settings that may be printed. */
export interface Config extends ReturnType<typeof toConfig> {
  /** names of the variables that are set, secrets among them */
  given: readonly string[]
}
export type Secrets = ReturnType<typeof toSecrets>

/**
 * Reads the whole configuration once.
 *
 * @param env the process environment, or what a test puts in its place
 * @returns settings that may be printed, and secrets that may not; in development, keys may be missing
 *   from the secrets (see `development-keys`)
 * @throws ConfigError with every fault
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): {
  config: Config
  secrets: Secrets
} {
  const given = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => documentation.has(name) && value !== ''),
  )
  const faults: Fault[] = []
  for (const { path, message } of variables.safeParse(given).error?.issues ?? []) {
    faults.push({
      variable: String(path[0]),
      problem: message.startsWith('must') ? message : `is not valid (${message})`,
    })
  }
  // The rest is read as if the bad values weren't there, so that one start shows every fault.
  const bad = new Set(faults.map(({ variable }) => variable))
  const good = variables.parse(
    Object.fromEntries(Object.entries(given).filter(([name]) => !bad.has(name))),
  )
  faults.push(...crossCheck(good).filter(({ variable }) => !bad.has(variable)))
  for (const [variable, value] of Object.entries(given)) {
    if (value?.includes(SAMPLE_MARK)) {
      faults.push({ variable, problem: 'still has the sample value from .env.example' })
    }
  }
  if (faults.length > 0) throw new ConfigError(onePerVariable(faults))
  const config = { ...toConfig(good), given: Object.keys(given) }
  return { config: Object.freeze(config), secrets: Object.freeze(toSecrets(good)) }
}

function onePerVariable(faults: readonly Fault[]): Fault[] {
  return [...Map.groupBy(faults, ({ variable }) => variable).values()].flatMap(
    ([first]) => first ?? [],
  )
}

/** Rules that need more than one variable. */
function crossCheck(v: Variables): Fault[] {
  const faults: Fault[] = []
  const production = v.NODE_ENV === 'production'
  const need = (variable: keyof Variables, why: string) => {
    if (v[variable] === undefined) faults.push({ variable, problem: `is missing: ${why}` })
  }
  if (production) {
    need('ISSUER', 'production needs its public address')
    need('ENCRYPTION_KEYS', 'production generates no keys')
    need('COOKIE_KEYS', 'production generates no keys')
    need('SMS_GATEWAYS', 'production needs a gateway')
    need('SMS_ALLOWED_COUNTRIES', 'production must say which countries may be texted (* for all)')
    const issuer = URL.parse(v.ISSUER ?? '')
    if (issuer?.protocol === 'http:' && !isLoopbackHost(issuer.hostname)) {
      faults.push({ variable: 'ISSUER', problem: 'must be https: in production' })
    }
  }
  faults.push(...gatewayFaults(v), ...tracingFaults(v))
  if (v.SMTP_URL !== undefined) need('MAIL_FROM', 'SMTP_URL is set')
  if (v.ALERT_MAIL_TO.length > 0 && mailsBy(v) === 'nothing')
    faults.push({ variable: 'ALERT_MAIL_TO', problem: 'needs a mail server: set SMTP_URL, too' })
  if (
    v.COOKIE_KEYS?.some((key) =>
      v.ENCRYPTION_KEYS?.some((other) => other.toString('base64') === key),
    )
  ) {
    faults.push({ variable: 'COOKIE_KEYS', problem: 'must not be the same as ENCRYPTION_KEYS' })
  }
  if (v.OTP_RESEND_SECONDS >= v.OTP_TTL_SECONDS) {
    faults.push({
      variable: 'OTP_RESEND_SECONDS',
      problem: 'must be less than OTP_TTL_SECONDS, or no code could be sent again',
    })
  }
  return faults
}

function toConfig(v: Variables) {
  const production = v.NODE_ENV === 'production'
  return {
    production,
    issuer: v.ISSUER ?? `http://localhost:${v.PORT}`,
    host: v.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port: v.PORT,
    dataDir: v.DATA_DIR,
    poolSize: v.DATABASE_POOL_SIZE,
    /** trusted proxies in front; 0 trusts none */
    trustedProxies: v.TRUST_PROXY,
    logLevel: v.LOG_LEVEL,
    brand: { name: v.BRAND_NAME, logoUrl: v.BRAND_LOGO_URL, color: v.BRAND_COLOR },
    defaultCountry: v.DEFAULT_COUNTRY,
    defaultLocale: v.DEFAULT_LOCALE,
    otp: {
      length: v.OTP_LENGTH,
      ttlSeconds: v.OTP_TTL_SECONDS,
      maxAttempts: v.OTP_MAX_ATTEMPTS,
      resendSeconds: v.OTP_RESEND_SECONDS,
      maxSends: v.OTP_MAX_SENDS,
    },
    secondFactor: v.SECOND_FACTOR,
    dynamicRegistration: v.DYNAMIC_REGISTRATION === 'token',
    registrationHosts: v.REGISTRATION_ALLOWED_HOSTS,
    selfEnrolment: v.SELF_ENROLMENT === 'first-login',
    phoneSharing: v.PHONE_SHARING,
    bypassCodes: { minutes: v.BYPASS_CODE_MINUTES, consent: v.BYPASS_CODE_CONSENT },
    trustedDeviceDays: v.TRUSTED_DEVICE_DAYS,
    holdOffSeconds: v.PHONE_HOLD_OFF_HOURS * 3600,
    signingKeyRotationDays: v.SIGNING_KEY_ROTATION_DAYS,
    auditRetentionDays: v.AUDIT_RETENTION_DAYS,
    sms: {
      allowedCountries: v.SMS_ALLOWED_COUNTRIES ?? ('*' as const),
      limits: {
        phoneHour: v.SMS_LIMIT_PHONE_HOUR,
        addressHour: v.SMS_LIMIT_IP_HOUR,
        globalHour: v.SMS_LIMIT_GLOBAL_HOUR,
        phoneDay: v.SMS_LIMIT_PHONE_DAY,
        prefixHour: v.SMS_LIMIT_PREFIX_HOUR,
        prefixUnanswered: v.SMS_LIMIT_PREFIX_UNANSWERED,
        countryHour: v.SMS_LIMIT_COUNTRY_HOUR,
        globalDay: v.SMS_LIMIT_GLOBAL_DAY,
        unanswered: v.SMS_LIMIT_UNANSWERED,
      },
      gateways: named(v.SMS_GATEWAYS ?? ['outbox']),
      /** another order for some countries, by ISO code */
      routes: new Map(
        [...(v.SMS_ROUTES ?? [])].map(([country, names]) => [country, named(names)] as const),
      ),
      voiceGateways: named(v.VOICE_GATEWAYS ?? []),
      sender: v.SMS_SENDER,
      numericCountries: v.SMS_NUMERIC_COUNTRIES,
      deliveryWaitSeconds: v.SMS_DELIVERY_WAIT_SECONDS,
    },
    simSwap: v.SIM_SWAP_URL
      ? { url: v.SIM_SWAP_URL, hours: v.SIM_SWAP_HOURS, policy: v.SIM_SWAP_POLICY }
      : undefined,
    mail: {
      by: mailsBy(v),
      from: v.MAIL_FROM,
      tls: tlsTowards(v.SMTP_URL),
    },
    /** of parts of texts and of calls; undefined where none are set */
    prices: { currency: v.PRICE_CURRENCY, sms: v.SMS_PRICES, voice: v.VOICE_PRICES },
    /** who gets mails of alerts, and which hosts of webhooks may be inside */
    alerts: { mailTo: v.ALERT_MAIL_TO, trustedHosts: v.WEBHOOK_ALLOWED_HOSTS },
    metricsPort: v.METRICS_PORT,
    drainSeconds: v.DRAIN_SECONDS,
    /** undefined where no traces are sent */
    tracing: tracingOf(v),
  }
}

/** What was checked to be names of gateways. */
function named(names: readonly string[]): readonly GatewayName[] {
  return names.filter(isGatewayName)
}

/** Which way mails go, if any. */
function mailsBy(v: Variables): 'smtp' | 'outbox' | 'nothing' {
  if (v.SMTP_URL !== undefined) return 'smtp'
  return v.NODE_ENV === 'production' ? 'nothing' : 'outbox'
}

/** Mails carry links that open accounts, so they leave our own machines and networks only under TLS. */
function tlsTowards(smtpUrl: string | undefined): 'always' | 'where-offered' | 'never' {
  const host = URL.parse(smtpUrl ?? '')?.hostname ?? ''
  if (isLoopbackHost(host)) return 'never'
  return isInternalHost(host) ? 'where-offered' : 'always'
}

function toSecrets(v: Variables) {
  return {
    databaseUrl: v.DATABASE_URL,
    encryptionKeys: v.ENCRYPTION_KEYS,
    cookieKeys: v.COOKIE_KEYS,
    gateways: gatewaySettings(v),
    simSwapToken: v.SIM_SWAP_TOKEN,
    smtpUrl: v.SMTP_URL,
    tracingHeaders: tracingHeaders(v),
  }
}
