import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseEnv, promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../src/config/config.ts'
import { completeSecrets } from '../src/config/development-keys.ts'

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
    [{ OTP_LENGTH: '5' }, 'OTP_LENGTH'],
    [{ TRUST_PROXY: 'true' }, 'TRUST_PROXY'],
    [{ BRAND_COLOR: 'red' }, 'BRAND_COLOR'],
    [{ TRUSTED_DEVICE_DAYS: '31' }, 'TRUSTED_DEVICE_DAYS'],
    [{ PHONE_HOLD_OFF_HOURS: '169' }, 'PHONE_HOLD_OFF_HOURS'],
    [{ AUDIT_RETENTION_DAYS: '29' }, 'AUDIT_RETENTION_DAYS'],
  ])('production refuses %j', (wrong, variable) => {
    expect(Object.keys(faults({ ...PRODUCTION, ...wrong }))).toEqual([variable])
  })

  test('the values of .env.example are refused, all of them at once (SUP-07)', () => {
    const sample = parseEnv(readFileSync(join(ROOT, '.env.example'), 'utf8'))
    const marked = Object.entries(sample).filter(([, value]) => value?.includes('change-me'))
    expect(
      Object.keys(
        faults(Object.fromEntries(Object.entries(sample).map(([k, v]) => [k, v ?? '']))),
      ).sort(),
    ).toEqual(marked.map(([name]) => name).sort())
  })

  test('development keys are made once, for their owner alone', () => {
    const DATA_DIR = mkdtempSync(join(tmpdir(), 'sallyport-keys-'))
    const said: string[] = []
    const complete = () => {
      const { config, secrets } = readConfig({ DATA_DIR })
      return completeSecrets(config, secrets, (sentence) => said.push(sentence))
    }
    expect(complete()).toEqual(complete())
    expect(said).toHaveLength(1)
    expect(statSync(join(DATA_DIR, 'development-keys.json')).mode & 0o777).toBe(0o600)
  })

  test('a bad configuration ends the process with one message and no stack', async () => {
    const run = promisify(execFile)(process.execPath, ['src/main.ts'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, NODE_ENV: 'production', BRAND_COLOR: 'red' },
    })
    await expect(run).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^The configuration has faults:\n( {2}[A-Z_]+ .+\n)+$/),
    })
  })
})
