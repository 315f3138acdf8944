import { z } from 'zod'
import { languageTags } from '../languages/languages.ts'
import { asCountry } from '../phone-number.ts'
import { variable } from './documentation.ts'
import { cookieKeys, hosts, issuer, keyList, url, wholeNumber } from './shapes.ts'

/** The provider itself: where it is, what it keeps, how it looks, and what it asks of people. */
export const general = {
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
  METRICS_PORT: variable('METRICS_PORT', wholeNumber(1, 65_535).optional(), {
    meaning: 'port that `/metrics` is served on, over all addresses of `HOST`',
    example: '9464',
    otherwise: 'none: `/metrics` of `PORT`, for requests from this machine alone',
  }),
  DRAIN_SECONDS: variable('DRAIN_SECONDS', wholeNumber(0, 60).default(0), {
    meaning:
      'how long it goes on taking requests after SIGTERM, while `/readyz` answers 503: as long as your balancer needs to see that',
    example: '5',
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
  SIGNING_KEY_ROTATION_DAYS: variable(
    'SIGNING_KEY_ROTATION_DAYS',
    wholeNumber(0, 3650)
      .default(90)
      .refine((days) => days !== 1, 'must be 0 or at least 2: a rotation takes a day'),
    {
      meaning:
        'age at which signing keys are [replaced by themselves](keys.md#signing-keys), in days; `0`: only when somebody says so',
      example: '90',
    },
  ),
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
  DEFAULT_LOCALE: variable(
    'DEFAULT_LOCALE',
    z
      .string()
      .refine(
        (tag) => languageTags().includes(tag),
        `must be a language there is a file for: ${languageTags().join(', ')}`,
      )
      .default('en'),
    {
      meaning:
        'language of those for whom none of ours was chosen by the app (`ui_locales`), themselves or their browser',
      example: 'en',
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
    meaning: '`required`, or `optional` (only those who have one), for clients that don’t say',
    example: 'required',
  }),
  TRUSTED_DEVICE_DAYS: variable('TRUSTED_DEVICE_DAYS', wholeNumber(0, 30).default(0), {
    meaning:
      'how long “remember this browser” holds, at most 30; a browser unused for 14 days is forgotten. `0`: nobody is asked',
    example: '14',
  }),
  PHONE_HOLD_OFF_HOURS: variable('PHONE_HOLD_OFF_HOURS', wholeNumber(0, 168).default(24), {
    meaning:
      'how long a factor that was added beside others can’t be the only proof for a sensitive change',
    example: '24',
  }),
  BYPASS_CODE_MINUTES: variable('BYPASS_CODE_MINUTES', wholeNumber(5, 60).default(15), {
    meaning: 'how long a code of the help desk can be used',
    example: '15',
  }),
  BYPASS_CODE_CONSENT: variable(
    'BYPASS_CODE_CONSENT',
    z.enum(['off', 'required'], 'must be off or required').default('off'),
    {
      meaning:
        '`required`: a code of the help desk is good for nothing until a second admin approves it',
      example: 'required',
    },
  ),
  AUDIT_RETENTION_DAYS: variable('AUDIT_RETENTION_DAYS', wholeNumber(30, 3650).default(365), {
    meaning: 'how long audit events are kept, 30 to 3650',
    example: '365',
  }),
  SELF_ENROLMENT: variable(
    'SELF_ENROLMENT',
    z.enum(['first-login', 'off']).default('first-login'),
    {
      meaning:
        '`first-login`: who has no second factor adds one while signing in; `off`: an admin gives it',
      example: 'first-login',
    },
  ),
  DYNAMIC_REGISTRATION: variable('DYNAMIC_REGISTRATION', z.enum(['off', 'token']).default('off'), {
    meaning:
      '`token`: clients may register themselves (RFC 7591), each with a token that an admin made',
    example: 'token',
  }),
  REGISTRATION_ALLOWED_HOSTS: variable('REGISTRATION_ALLOWED_HOSTS', hosts.default(new Set()), {
    meaning:
      'hosts of keys and sectors of clients that [register themselves](registration.md), that may be inside your network; comma-separated names and addresses, without ports',
    example: 'apps.intranet.example',
    otherwise: 'none: only https: addresses that everyone can reach',
  }),
  PHONE_SHARING: variable('PHONE_SHARING', z.enum(['allow', 'warn', 'refuse']).default('allow'), {
    meaning:
      'one number on several accounts: `allow`; `warn`, which notes it in the audit trail; `refuse`',
    example: 'refuse',
  }),
}
