import { z } from 'zod'
import { asCountry } from '../phone-number.ts'
import {
  apiBase,
  cookieKeys,
  countries,
  issuer,
  keyList,
  list,
  timeout,
  url,
  wholeNumber,
} from './shapes.ts'

/** What the configuration table in `docs/` shows of a variable beside its schema. */
interface Doc {
  meaning: string
  example: string
  /** shown instead of the schema's default where that is computed elsewhere */
  otherwise?: string
  secret?: true
}

const docs = new Map<string, Doc>()
export const documentation: ReadonlyMap<string, Doc> = docs

function variable<T extends z.ZodType>(name: string, schema: T, doc: Doc): T {
  docs.set(name, doc)
  return schema
}

/** Every variable Sallyport reads, with its shape, default and meaning. The table in `docs/` is made from this. */
export const variables = z.object({
  NODE_ENV: variable(
    'NODE_ENV',
    z
      .enum(['production', 'development', 'test'], 'must be production, development or test')
      .default('development'),
    {
      meaning:
        '`production` refuses development defaults: generated keys, the `outbox` gateway, an `http:` issuer other than loopback',
      example: 'production',
    },
  ),
  ISSUER: variable('ISSUER', issuer.optional(), {
    meaning: 'public base URL and OIDC issuer',
    example: 'https://login.example.com',
    otherwise: '`http://localhost:PORT`',
  }),
  PORT: variable('PORT', wholeNumber(0, 65_535).default(3000), {
    meaning: 'port it listens on',
    example: '3000',
  }),
  HOST: variable('HOST', z.string().min(1).optional(), {
    meaning: 'address it listens on',
    example: '0.0.0.0',
    otherwise: '`127.0.0.1` in development, `0.0.0.0` in production',
  }),
  DATABASE_URL: variable('DATABASE_URL', url('postgres:', 'postgresql:').optional(), {
    meaning: 'PostgreSQL 15 or later',
    example: 'postgres://user:password@db.example.com/sallyport',
    otherwise: 'the embedded database in `DATA_DIR`',
    secret: true,
  }),
  DATABASE_POOL_SIZE: variable('DATABASE_POOL_SIZE', wholeNumber(1, 200).default(10), {
    meaning: 'connections an instance may hold',
    example: '10',
  }),
  DATA_DIR: variable('DATA_DIR', z.string().min(1).default('./data'), {
    meaning: 'embedded database and generated development keys',
    example: './data',
  }),
  ENCRYPTION_KEYS: variable('ENCRYPTION_KEYS', keyList.optional(), {
    meaning: 'comma-separated base64 keys of 32 bytes: the first seals, all open',
    example: 'the output of `openssl rand -base64 32`',
    otherwise: 'generated in development, required in production',
    secret: true,
  }),
  COOKIE_KEYS: variable('COOKIE_KEYS', cookieKeys.optional(), {
    meaning: 'comma-separated: the first signs cookies, all verify',
    example: 'the output of `openssl rand -base64 32`',
    otherwise: 'generated in development, required in production',
    secret: true,
  }),
  TRUST_PROXY: variable(
    'TRUST_PROXY',
    z
      .string()
      .regex(/^(false|\d)$/, 'must be false or the number of proxies, 0 to 9')
      .transform((text) => (text === 'false' ? 0 : Number(text)))
      .default(0),
    {
      meaning: 'number of trusted proxies in front, for client addresses',
      example: '1',
      otherwise: '`false`',
    },
  ),
  LOG_LEVEL: variable(
    'LOG_LEVEL',
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    {
      meaning: 'least level that is logged; JSON lines in production, readable in development',
      example: 'info',
    },
  ),
  BRAND_NAME: variable(
    'BRAND_NAME',
    z
      .string()
      .trim()
      .regex(/^[^\p{C}]{1,40}$/u, 'must be 1 to 40 characters on one line')
      .default('Sallyport'),
    {
      meaning: 'name on the hosted pages and in messages',
      example: 'Example Ltd',
    },
  ),
  BRAND_LOGO_URL: variable('BRAND_LOGO_URL', url('https:', 'file:').optional(), {
    meaning:
      'logo, read once at start and served from our own origin: PNG, SVG, JPEG or WebP up to 256 kB',
    example: 'file:///etc/sallyport/logo.svg',
    otherwise: 'a drawn gate',
  }),
  BRAND_COLOR: variable(
    'BRAND_COLOR',
    z
      .string()
      .regex(/^#[0-9a-f]{6}$/i, 'must be a colour like #1f6f5c')
      .default('#1f6f5c'),
    {
      meaning: 'colour of buttons; links and focus are derived from it, readable on light and dark',
      example: '#1f6f5c',
    },
  ),
  DEFAULT_COUNTRY: variable(
    'DEFAULT_COUNTRY',
    z
      .string()
      .refine((code) => asCountry(code), 'must be an ISO 3166 code')
      .optional(),
    {
      meaning: 'country with which national numbers are read',
      example: 'DK',
      otherwise: 'none: numbers need their `+`',
    },
  ),
  OTP_LENGTH: variable('OTP_LENGTH', wholeNumber(6, 8).default(6), {
    meaning: 'digits of a code',
    example: '6',
  }),
  OTP_TTL_SECONDS: variable('OTP_TTL_SECONDS', wholeNumber(30, 600).default(300), {
    meaning: 'life of a challenge',
    example: '300',
  }),
  OTP_MAX_ATTEMPTS: variable('OTP_MAX_ATTEMPTS', wholeNumber(1, 10).default(5), {
    meaning: 'guesses a challenge',
    example: '5',
  }),
  OTP_RESEND_SECONDS: variable('OTP_RESEND_SECONDS', wholeNumber(1, 600).default(30), {
    meaning: 'wait before another send of the same challenge',
    example: '30',
  }),
  OTP_MAX_SENDS: variable('OTP_MAX_SENDS', wholeNumber(1, 10).default(4), {
    meaning: 'sends a challenge',
    example: '4',
  }),
  SECOND_FACTOR: variable('SECOND_FACTOR', z.enum(['required', 'optional']).default('required'), {
    meaning: '`required`, or `optional` (only those with a phone), for clients that don’t say',
    example: 'required',
  }),
  SMS_ALLOWED_COUNTRIES: variable('SMS_ALLOWED_COUNTRIES', countries.optional(), {
    meaning: 'ISO codes that may be sent to, or `*`',
    example: 'DK,SE,NO',
    otherwise: '`*` in development, required in production',
  }),
  SMS_LIMIT_PHONE_HOUR: variable('SMS_LIMIT_PHONE_HOUR', wholeNumber(1, 1000).default(5), {
    meaning: 'sends to one number an hour, over all accounts',
    example: '5',
  }),
  SMS_LIMIT_IP_HOUR: variable('SMS_LIMIT_IP_HOUR', wholeNumber(1, 1_000_000).default(20), {
    meaning: 'sends asked for from one address (IPv6: /64) an hour',
    example: '20',
  }),
  SMS_LIMIT_GLOBAL_HOUR: variable(
    'SMS_LIMIT_GLOBAL_HOUR',
    wholeNumber(1, 10_000_000).default(1000),
    {
      meaning: 'sends an hour over all instances',
      example: '1000',
    },
  ),
  SMS_GATEWAYS: variable('SMS_GATEWAYS', list.optional(), {
    meaning: 'gateways, tried in this order: `outbox` (development), `textbee`',
    example: 'textbee',
    otherwise: '`outbox` in development, required in production',
  }),
  TEXTBEE_API_KEY: variable('TEXTBEE_API_KEY', z.string().min(1).optional(), {
    meaning: 'key from the textbee dashboard',
    example: '7a1b…',
    secret: true,
  }),
  TEXTBEE_DEVICE_ID: variable(
    'TEXTBEE_DEVICE_ID',
    z
      .string()
      .regex(/^[\w-]{1,64}$/, 'must be the id shown in the textbee dashboard')
      .optional(),
    { meaning: 'the phone that sends', example: '665f0c0e1f4b2a0012ab0001' },
  ),
  TEXTBEE_BASE_URL: variable(
    'TEXTBEE_BASE_URL',
    apiBase.default('https://api.textbee.dev/api/v1'),
    {
      meaning: 'for a textbee server of your own',
      example: 'http://textbee:3001/api/v1',
    },
  ),
  TEXTBEE_TIMEOUT_MS: variable('TEXTBEE_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
})

export type Variables = z.output<typeof variables>
