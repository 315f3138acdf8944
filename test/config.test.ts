import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseEnv, promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../src/config/config.ts'
import { completeSecrets } from '../src/config/development-keys.ts'
import type { GatewayName } from '../src/config/gateway-rules.ts'
import { createOutbox } from '../src/messaging/gateways/outbox.ts'
import { createGateway } from '../src/messaging/registry.ts'
import { freePort } from './support/ports.ts'

const ROOT = resolve(import.meta.dirname, '..')
const key = () => randomBytes(32).toString('base64')

const PRODUCTION = {
  NODE_ENV: 'production',
  ISSUER: 'https://login.example.com',
  ENCRYPTION_KEYS: key(),
  COOKIE_KEYS: key(),
  SMS_GATEWAYS: 'textbee',
  SMS_ALLOWED_COUNTRIES: 'SE,DK',
  TEXTBEE_API_KEY: 'k',
  TEXTBEE_DEVICE_ID: '665f0c0e1f4b2a0012ab0001',
}

function faults(env: Record<string, string>): Record<string, string> {
  try {
    readConfig(env)
    return {}
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return Object.fromEntries(error.faults.map(({ variable, problem }) => [variable, problem]))
  }
}

describe('configuration', () => {
  test('development needs nothing', () => {
    const { config } = readConfig({})
    expect(config).toMatchObject({
      production: false,
      issuer: 'http://localhost:3000',
      host: '127.0.0.1',
      sms: { gateways: ['outbox'], allowedCountries: '*' },
      trustedDeviceDays: 0,
      holdOffSeconds: 24 * 3600,
      auditRetentionDays: 365,
    })
  })

  test('production starts when all is given, and nothing of a secret is in what may be printed', () => {
    const { config } = readConfig({ ...PRODUCTION, DATABASE_URL: 'postgres://u:dbpass@h/db' })
    const printed = JSON.stringify(config)
    for (const secret of [PRODUCTION.ENCRYPTION_KEYS, PRODUCTION.COOKIE_KEYS, 'dbpass'])
      expect(printed).not.toContain(secret)
    expect(config.host).toBe('0.0.0.0')
  })

  test('every fault is listed at once, with the variable, what is wrong and an example', () => {
    const env = { NODE_ENV: 'production', PORT: 'x', OTP_TTL_SECONDS: '601', DEFAULT_COUNTRY: 'ZZ' }
    expect(Object.keys(faults(env)).sort()).toEqual(
      [
        'COOKIE_KEYS',
        'DEFAULT_COUNTRY',
        'ENCRYPTION_KEYS',
        'ISSUER',
        'OTP_TTL_SECONDS',
        'PORT',
        'SMS_ALLOWED_COUNTRIES',
        'SMS_GATEWAYS',
      ].sort(),
    )
    expect(() => readConfig(env)).toThrow(
      /OTP_TTL_SECONDS must be from 30 to 600\. Example: OTP_TTL_SECONDS=300/,
    )
  })

  test.each([
    [{ SMS_GATEWAYS: 'outbox' }, 'SMS_GATEWAYS'],
    [{ SMS_GATEWAYS: 'textbee,textbee' }, 'SMS_GATEWAYS'],
    [{ SMS_GATEWAYS: 'carrier-pigeon' }, 'SMS_GATEWAYS'],
    [{ ISSUER: 'http://login.example.com' }, 'ISSUER'],
    [{ ISSUER: 'https://login.example.com/path' }, 'ISSUER'],
    [{ ISSUER: 'https://login.example.com?x=1' }, 'ISSUER'],
    [{ ISSUER: 'ftp://login.example.com' }, 'ISSUER'],
    [{ ENCRYPTION_KEYS: 'c2hvcnQ=' }, 'ENCRYPTION_KEYS'],
    [{ ENCRYPTION_KEYS: Buffer.alloc(32).toString('base64') }, 'ENCRYPTION_KEYS'],
    [{ COOKIE_KEYS: 'short' }, 'COOKIE_KEYS'],
    [{ COOKIE_KEYS: 'a'.repeat(40) }, 'COOKIE_KEYS'],
    [{ DATABASE_URL: 'mysql://h/db' }, 'DATABASE_URL'],
    [{ SMS_ALLOWED_COUNTRIES: 'XX' }, 'SMS_ALLOWED_COUNTRIES'],
    [{ TEXTBEE_BASE_URL: 'http://textbee.example.com/api' }, 'TEXTBEE_BASE_URL'],
    [{ TEXTBEE_DEVICE_ID: '../x' }, 'TEXTBEE_DEVICE_ID'],
    [{ TEXTBEE_API_KEY: '' }, 'TEXTBEE_API_KEY'],
    [{ SMS_GATEWAYS: ' , ' }, 'SMS_GATEWAYS'],
    [{ OTP_LENGTH: '5' }, 'OTP_LENGTH'],
    [{ TRUST_PROXY: 'true' }, 'TRUST_PROXY'],
    [{ BRAND_COLOR: 'red' }, 'BRAND_COLOR'],
    [{ TRUSTED_DEVICE_DAYS: '31' }, 'TRUSTED_DEVICE_DAYS'],
    [{ BYPASS_CODE_MINUTES: '61' }, 'BYPASS_CODE_MINUTES'],
    [{ BYPASS_CODE_CONSENT: 'on' }, 'BYPASS_CODE_CONSENT'],
    [{ PHONE_HOLD_OFF_HOURS: '169' }, 'PHONE_HOLD_OFF_HOURS'],
    [{ SIGNING_KEY_ROTATION_DAYS: '1' }, 'SIGNING_KEY_ROTATION_DAYS'],
    [{ AUDIT_RETENTION_DAYS: '29' }, 'AUDIT_RETENTION_DAYS'],
    [{ ALERT_MAIL_TO: 'ops@example.com' }, 'ALERT_MAIL_TO'],
    [{ ALERT_MAIL_TO: 'ops@example.com, ops' }, 'ALERT_MAIL_TO'],
    [{ WEBHOOK_ALLOWED_HOSTS: 'https://hooks.intranet' }, 'WEBHOOK_ALLOWED_HOSTS'],
    [{ WEBHOOK_ALLOWED_HOSTS: 'hooks.intranet:8080' }, 'WEBHOOK_ALLOWED_HOSTS'],
    [{ WEBHOOK_ALLOWED_HOSTS: '*' }, 'WEBHOOK_ALLOWED_HOSTS'],
    [{ DRAIN_SECONDS: '61' }, 'DRAIN_SECONDS'],
    [{ OTEL_SDK_DISABLED: 'yes' }, 'OTEL_SDK_DISABLED'],
    [{ OTEL_TRACES_EXPORTER: 'jaeger' }, 'OTEL_TRACES_EXPORTER'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }, 'OTEL_EXPORTER_OTLP_ENDPOINT'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://key@otlp.example' }, 'OTEL_EXPORTER_OTLP_ENDPOINT'],
    [
      { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      'OTEL_EXPORTER_OTLP_PROTOCOL',
    ],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'authorization' }, 'OTEL_EXPORTER_OTLP_HEADERS'],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=%0d%0a' }, 'OTEL_EXPORTER_OTLP_HEADERS'],
    [{ OTEL_EXPORTER_OTLP_TIMEOUT: '10s' }, 'OTEL_EXPORTER_OTLP_TIMEOUT'],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'env=%' }, 'OTEL_RESOURCE_ATTRIBUTES'],
    [{ OTEL_TRACES_SAMPLER: 'always' }, 'OTEL_TRACES_SAMPLER'],
    [{ OTEL_TRACES_SAMPLER_ARG: '5%' }, 'OTEL_TRACES_SAMPLER_ARG'],
    [{ OTEL_PROPAGATORS: 'b3' }, 'OTEL_PROPAGATORS'],
  ])('production refuses %j [OIDC-41]', (wrong, variable) => {
    expect(Object.keys(faults({ ...PRODUCTION, ...wrong }))).toEqual([variable])
  })

  test.each([
    [{}, undefined],
    [{ OTEL_SERVICE_NAME: 'login' }, undefined],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_SDK_DISABLED: 'TRUE' }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_TRACES_EXPORTER: 'none' }, undefined],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'http://localhost:4318/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c/otlp/' }, 'https://c/otlp/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://c/here' }, 'https://c/here'],
  ])('with %j traces go to %s', (env, url) => {
    expect(readConfig(env).config.tracing?.url).toBe(url)
  })

  test('hosts inside are read in the form in which URLs name them', () => {
    const { config } = readConfig({
      WEBHOOK_ALLOWED_HOSTS: 'Hooks.Intranet, 127.1, ::1, [fd00::0:1]',
    })
    expect([...config.alerts.trustedHosts]).toEqual([
      'hooks.intranet',
      '127.0.0.1',
      '::1',
      'fd00::1',
    ])
  })

  test('the values of .env.example are refused, all of them at once [SUP-07, OIDC-41]', () => {
    const sample = parseEnv(readFileSync(join(ROOT, '.env.example'), 'utf8'))
    const marked = Object.entries(sample).filter(([, value]) => value?.includes('change-me'))
    expect(
      Object.keys(
        faults(Object.fromEntries(Object.entries(sample).map(([k, v]) => [k, v ?? '']))),
      ).sort(),
    ).toEqual(marked.map(([name]) => name).sort())
  })

  test('development keys are made once, for their owner alone, and for development alone [OIDC-41]', () => {
    const DATA_DIR = mkdtempSync(join(tmpdir(), 'sallyport-keys-'))
    const said: string[] = []
    const complete = () => {
      const { config, secrets } = readConfig({ DATA_DIR })
      return completeSecrets(config, secrets, (sentence) => said.push(sentence))
    }
    expect(complete()).toEqual(complete())
    expect(said).toHaveLength(1)
    expect(statSync(join(DATA_DIR, 'development-keys.json')).mode & 0o777).toBe(0o600)
    const without = { ...PRODUCTION, DATA_DIR, ENCRYPTION_KEYS: '', COOKIE_KEYS: '' }
    expect(Object.keys(faults(without)).sort()).toEqual(['COOKIE_KEYS', 'ENCRYPTION_KEYS'])
  })

  test('a bad configuration ends the process with one message and no stack [OIDC-41]', async () => {
    const run = promisify(execFile)(process.execPath, ['src/main.ts'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, NODE_ENV: 'production', BRAND_COLOR: 'red' },
    })
    await expect(run).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^The configuration has faults:\n( {2}[A-Z_]+ .+\n)+$/),
    })
  })

  test.each([
    ['of letters that texts carry at twice the price', 'Bank’s', 'id.localhost'],
    ['too long beside the host', 'B'.repeat(40), `${'long-'.repeat(5)}name.localhost`],
  ])('a brand %s is refused at start', async (_, BRAND_NAME, host) => {
    const DATA_DIR = mkdtempSync(join(tmpdir(), 'sallyport-brand-'))
    const ISSUER = `http://${host}:4600`
    const run = promisify(execFile)(process.execPath, ['src/main.ts'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, DATA_DIR, BRAND_NAME, ISSUER, PORT: `${await freePort()}` },
      timeout: 30_000,
    })
    await expect(run).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('BRAND_NAME makes a text message take more parts'),
    })
  })
})

/** Values that every gateway would start with. */
const CREDENTIALS = {
  TEXTBEE_API_KEY: 'k',
  TEXTBEE_DEVICE_ID: '665f0c0e1f4b2a0012ab0001',
  MESSAGEBIRD_ACCESS_KEY: 'live_secret',
  MESSAGEBIRD_NUMBER: '+4512345678',
  BIRD_API_KEY: 'bk_eu1_secret',
  SMSTOOLS_CLIENT_ID: 'id',
  SMSTOOLS_CLIENT_SECRET: 'smstools-secret',
  TELNYX_API_KEY: 'KEYsecret',
  TELNYX_MESSAGING_PROFILE_ID: '40017d1c-7b0e-4f5e-9d3a-0c1d2e3f4a5b',
  TELNYX_ACCOUNT_SID: 'sid',
  TELNYX_TEXML_APPLICATION_ID: '2137',
  TELNYX_VERIFY_PROFILE_ID: '49000',
  TELNYX_NUMBER: '+4512345678',
  GATEWAYAPI_TOKEN: 'gatewayapi-secret',
  TWILIO_ACCOUNT_SID: `AC${'0'.repeat(32)}`,
  TWILIO_AUTH_TOKEN: 'twilio-secret',
  TWILIO_NUMBER: '+4512345678',
  VONAGE_API_KEY: 'a1b2c3d4',
  VONAGE_API_SECRET: 'vonage-secret',
  VONAGE_APPLICATION_ID: 'aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab',
  VONAGE_PRIVATE_KEY: generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()
    .replaceAll('\n', '\\n'),
  VONAGE_NUMBER: '+4512345678',
  HTTP_SMS_URL: 'https://sms.example.com/send',
  HTTP_SMS_SECRET: 'whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=',
}
const TEXTING = 'textbee,messagebird,bird,smstools,telnyx,gatewayapi,twilio,vonage,http'
const CALLING = 'messagebird,smstools,telnyx,twilio,vonage'

describe('gateways', () => {
  const { TEXTBEE_API_KEY: _, TEXTBEE_DEVICE_ID: __, ...BARE } = PRODUCTION
  const full = { ...BARE, ...CREDENTIALS }

  test('start with all they need, each with its own settings, none of which may be printed', () => {
    const env = { ...full, SMS_GATEWAYS: TEXTING, VOICE_GATEWAYS: CALLING }
    const { config, secrets } = readConfig(env)
    expect(config.sms.gateways.join()).toBe(TEXTING)
    expect(config.sms.voiceGateways.join()).toBe(CALLING)
    for (const name of TEXTING.split(','))
      expect(
        createGateway(name as GatewayName, secrets.gateways, createOutbox()).gateway.name,
      ).toBe(name)
    expect(secrets.gateways.bird).toMatchObject({ baseUrl: 'https://eu1.platform.bird.com' })
    const printed = JSON.stringify(config)
    for (const [variable, value] of Object.entries(CREDENTIALS))
      if (/KEY|TOKEN|SECRET/.test(variable) && value.length > 1)
        expect(printed).not.toContain(value)
  })

  test('that lack something are told all of it at once', () => {
    const missing = faults({ ...BARE, SMS_GATEWAYS: TEXTING, VOICE_GATEWAYS: CALLING })
    const optional = ['TELNYX_VERIFY_PROFILE_ID', 'VONAGE_NUMBER']
    const needed = Object.keys(CREDENTIALS).filter((name) => !optional.includes(name))
    expect(Object.keys(missing).sort()).toEqual(needed.sort())
    for (const problem of Object.values(missing)) expect(problem).toMatch(/^is missing: /)
    expect(missing.VONAGE_API_KEY).toBe('is missing: SMS_GATEWAYS names vonage')
    expect(missing.TWILIO_NUMBER).toBe('is missing: VOICE_GATEWAYS names twilio')
    // A number as sender will do.
    const sender = { ...full, TWILIO_NUMBER: '', TWILIO_SENDER: '+12025550123' }
    expect(faults({ ...sender, SMS_GATEWAYS: 'twilio', VOICE_GATEWAYS: 'twilio' })).toEqual({})
    // One that is named for texts alone needs nothing to call with.
    const texts = faults({ ...BARE, SMS_GATEWAYS: 'vonage,twilio,telnyx,messagebird' })
    expect(
      Object.keys(texts).filter((name) => /NUMBER|APPLICATION|PRIVATE|SID/.test(name)),
    ).toEqual(['TWILIO_ACCOUNT_SID'])
    // Nor does one that is named nowhere need anything.
    expect(faults({ ...BARE, SMS_GATEWAYS: 'bird', BIRD_API_KEY: 'bk_eu1_x' })).toEqual({})
  })

  test.each<[string, string, Record<string, string>]>([
    ['messagebird-verify', 'MESSAGEBIRD_ACCESS_KEY', {}],
    ['telnyx-verify', 'TELNYX_API_KEY', { TELNYX_VERIFY_PROFILE_ID: '1' }],
    ['telnyx-verify', 'TELNYX_VERIFY_PROFILE_ID', { TELNYX_API_KEY: 'k' }],
    ['gatewayapi', 'GATEWAYAPI_TOKEN', {}],
    ['gatewayapi', 'GATEWAYAPI_SECRET', { GATEWAYAPI_KEY: 'k' }],
    ['gatewayapi', 'GATEWAYAPI_KEY', { GATEWAYAPI_SECRET: 's' }],
    [
      'gatewayapi',
      'GATEWAYAPI_TOKEN',
      { GATEWAYAPI_API: 'messaging', GATEWAYAPI_KEY: 'k', GATEWAYAPI_SECRET: 's' },
    ],
    [
      'twilio',
      'TWILIO_API_SECRET',
      {
        TWILIO_ACCOUNT_SID: `AC${'0'.repeat(32)}`,
        TWILIO_AUTH_TOKEN: 't',
        TWILIO_API_KEY: `SK${'0'.repeat(32)}`,
      },
    ],
  ])('%s needs %s', (gateway, variable, given) => {
    expect(Object.keys(faults({ ...BARE, SMS_GATEWAYS: gateway, ...given }))).toEqual([variable])
  })

  test('gatewayapi takes key and secret in place of a token', () => {
    const { secrets } = readConfig({
      ...BARE,
      SMS_GATEWAYS: 'gatewayapi',
      GATEWAYAPI_KEY: 'k',
      GATEWAYAPI_SECRET: 's',
    })
    expect(secrets.gateways.gatewayapi).toMatchObject({ consumer: { key: 'k', secret: 's' } })
  })

  test('that make codes stand alone, and call where they text', () => {
    const alone = { SMS_GATEWAYS: 'telnyx-verify' }
    const wrong: Array<[Record<string, string>, string, RegExp]> = [
      [
        { SMS_GATEWAYS: 'telnyx-verify,telnyx' },
        'SMS_GATEWAYS',
        /names telnyx-verify beside others/,
      ],
      [{ SMS_GATEWAYS: 'telnyx,messagebird-verify' }, 'SMS_GATEWAYS', /beside others/],
      [{ SMS_GATEWAYS: 'telnyx-verify,messagebird-verify' }, 'SMS_GATEWAYS', /beside others/],
      [
        { SMS_GATEWAYS: 'telnyx', SMS_ROUTES: 'US=twilio,telnyx-verify' },
        'SMS_ROUTES',
        /beside others/,
      ],
      [
        { ...alone, VOICE_GATEWAYS: 'telnyx-verify,messagebird-verify' },
        'VOICE_GATEWAYS',
        /beside others/,
      ],
      [{ ...alone, VOICE_GATEWAYS: 'telnyx' }, 'VOICE_GATEWAYS', /another code/],
      [{ ...alone, VOICE_GATEWAYS: 'messagebird-verify' }, 'VOICE_GATEWAYS', /another code/],
      [
        { SMS_GATEWAYS: 'telnyx', VOICE_GATEWAYS: 'telnyx-verify' },
        'VOICE_GATEWAYS',
        /another code/,
      ],
      [
        { ...alone, SMS_ROUTES: 'US=twilio', VOICE_GATEWAYS: 'telnyx-verify' },
        'VOICE_GATEWAYS',
        /another code/,
      ],
    ]
    for (const [env, variable, problem] of wrong)
      expect(faults({ ...full, ...env })).toEqual({ [variable]: expect.stringMatching(problem) })
    for (const env of [
      alone,
      { ...alone, VOICE_GATEWAYS: 'telnyx-verify' },
      { ...alone, SMS_ROUTES: 'US=twilio,telnyx;DK=messagebird-verify' },
    ])
      expect(faults({ ...full, ...env })).toEqual({})
  })

  test.each<[Record<string, string>, string, RegExp]>([
    [{ VOICE_GATEWAYS: 'textbee' }, 'VOICE_GATEWAYS', /can’t call/],
    [{ VOICE_GATEWAYS: 'telnyx,pigeon' }, 'VOICE_GATEWAYS', /unknown gateway, "pigeon"/],
    [{ VOICE_GATEWAYS: 'telnyx,telnyx' }, 'VOICE_GATEWAYS', /twice/],
    [{ VOICE_GATEWAYS: 'outbox' }, 'VOICE_GATEWAYS', /must not name outbox in production/],
    [{ SMS_ROUTES: 'DK=outbox' }, 'SMS_ROUTES', /must not name outbox in production/],
    [{ SMS_ROUTES: 'DK=pigeon' }, 'SMS_ROUTES', /unknown gateway, "pigeon"/],
    [{ SMS_ROUTES: 'DK=toString' }, 'SMS_ROUTES', /unknown gateway/],
    [{ SMS_ROUTES: 'DK=telnyx,twilio,telnyx' }, 'SMS_ROUTES', /twice/],
    [{ SMS_ROUTES: 'telnyx' }, 'SMS_ROUTES', /must be like/],
    [{ SMS_ROUTES: 'DK=' }, 'SMS_ROUTES', /must be like/],
    [{ SMS_ROUTES: ';' }, 'SMS_ROUTES', /must be like/],
    [{ SMS_ROUTES: '=telnyx' }, 'SMS_ROUTES', /must be like/],
    [{ SMS_ROUTES: 'dk=telnyx' }, 'SMS_ROUTES', /must be like/],
    [{ SMS_ROUTES: 'XX=telnyx' }, 'SMS_ROUTES', /must be like/],
    [{ SMS_ROUTES: 'DK=telnyx=twilio' }, 'SMS_ROUTES', /must be like/],
    [{ SMS_ROUTES: 'DK=telnyx;DK=twilio' }, 'SMS_ROUTES', /each country once/],
    [{ SMS_SENDER: 'Twelve signs' }, 'SMS_SENDER', /at most 11/],
    [{ SMS_SENDER: 'Ärger' }, 'SMS_SENDER', /at most 11/],
    [{ SMS_SENDER: '+0123456789' }, 'SMS_SENDER', /must be a number/],
    [{ SMS_SENDER: '+45 12 34 56' }, 'SMS_SENDER', /must be a number/],
    [{ SMS_SENDER: '12' }, 'SMS_SENDER', /short code/],
    [{ SMS_SENDER: '123456789' }, 'SMS_SENDER', /short code/],
    [{ TWILIO_SENDER: 'Shop!' }, 'TWILIO_SENDER', /at most 11/],
    [{ VONAGE_NUMBER: '4512345678' }, 'VONAGE_NUMBER', /must be a number/],
    [{ TELNYX_NUMBER: 'Example' }, 'TELNYX_NUMBER', /must be a number/],
    [{ SMS_NUMERIC_COUNTRIES: 'USA' }, 'SMS_NUMERIC_COUNTRIES', /ISO 3166/],
    [{ SMS_DELIVERY_WAIT_SECONDS: '0' }, 'SMS_DELIVERY_WAIT_SECONDS', /from 1 to 300/],
    [{ TELNYX_TIMEOUT_MS: '99' }, 'TELNYX_TIMEOUT_MS', /from 100 to/],
    [{ TWILIO_ACCOUNT_SID: '../x' }, 'TWILIO_ACCOUNT_SID', /must be AC/],
    [{ TELNYX_API_KEY: 'two words' }, 'TELNYX_API_KEY', /without spaces/],
    [{ TELNYX_API_KEY: 'k\r\nX-Y: z' }, 'TELNYX_API_KEY', /without spaces/],
    [{ TELNYX_ACCOUNT_SID: 'a/../b' }, 'TELNYX_ACCOUNT_SID', /must be an id/],
    [{ TELNYX_PUBLIC_KEY: 'c2hvcnQ=' }, 'TELNYX_PUBLIC_KEY', /32 bytes/],
    [{ BIRD_API_KEY: 'eu1_token' }, 'BIRD_API_KEY', /bk_REGION_TOKEN/],
    [{ BIRD_API_KEY: 'bk_evil.example/_x' }, 'BIRD_API_KEY', /bk_REGION_TOKEN/],
    [{ SMSTOOLS_WEBHOOK_PATH: 'guessable' }, 'SMSTOOLS_WEBHOOK_PATH', /random/],
    [{ VONAGE_PRIVATE_KEY: 'pem' }, 'VONAGE_PRIVATE_KEY', /RSA/],
    [{ VONAGE_BASE_URL: 'http://api.nexmo.com' }, 'VONAGE_BASE_URL', /https:/],
    [{ HTTP_SMS_URL: 'http://sms.example.com' }, 'HTTP_SMS_URL', /https:/],
    [{ GATEWAYAPI_API: 'soap' }, 'GATEWAYAPI_API', /rest or messaging/],
  ])('refuse %j', (wrong, variable, problem) => {
    const env = { ...full, SMS_GATEWAYS: TEXTING, ...wrong }
    expect(faults(env)).toEqual({ [variable]: expect.stringMatching(problem) })
  })

  test.each([
    ['SMS_SENDER', 'Example 11c'],
    ['SMS_SENDER', 'A'],
    ['SMS_SENDER', '+4512345678'],
    ['SMS_SENDER', '12345'],
    ['SMS_NUMERIC_COUNTRIES', '*'],
    ['SMS_ROUTES', ' DK = telnyx , twilio ; US=vonage; '],
    ['HTTP_SMS_URL', 'http://10.0.0.7:8080/sms'],
    ['TEXTBEE_WEBHOOK_SECRET', 'old,new'],
  ])('take %s=%s', (variable, value) => {
    expect(faults({ ...full, SMS_GATEWAYS: TEXTING, [variable]: value })).toEqual({})
  })

  test('have routes and senders as they were given', () => {
    const { config } = readConfig({
      ...full,
      SMS_GATEWAYS: 'telnyx',
      SMS_ROUTES: 'DK=gatewayapi, telnyx;US=twilio',
      SMS_SENDER: 'Example',
    })
    expect([...config.sms.routes]).toEqual([
      ['DK', ['gatewayapi', 'telnyx']],
      ['US', ['twilio']],
    ])
    expect(config.sms).toMatchObject({
      gateways: ['telnyx'],
      voiceGateways: [],
      sender: 'Example',
      numericCountries: new Set(['US', 'CA', 'PR']),
      deliveryWaitSeconds: 20,
    })
  })

  test('need what a route names', () => {
    const { TWILIO_AUTH_TOKEN: _, ...rest } = full
    expect(faults({ ...rest, SMS_GATEWAYS: 'telnyx', SMS_ROUTES: 'US=twilio' })).toEqual({
      TWILIO_AUTH_TOKEN: 'is missing: SMS_ROUTES names twilio',
    })
  })
})
