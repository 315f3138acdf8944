import { z } from 'zod'
import { variable } from './documentation.ts'
import { apiBase, countries, list, sender, smtpUrl, timeout, wholeNumber } from './shapes.ts'

/** Texts and mails: who may be sent how many, and by whom. */
export const messaging = {
  SMS_ALLOWED_COUNTRIES: variable('SMS_ALLOWED_COUNTRIES', countries.optional(), {
    meaning: 'ISO codes that may be sent to, or `*`',
    example: 'DK,SE,NO',
    otherwise: '`*` in development, required in production',
  }),
  SMS_LIMIT_PHONE_HOUR: variable('SMS_LIMIT_PHONE_HOUR', wholeNumber(1, 1000).default(5), {
    meaning: 'sends to one number an hour, over all accounts',
    example: '5',
  }),
  SMS_LIMIT_PHONE_DAY: variable('SMS_LIMIT_PHONE_DAY', wholeNumber(1, 10_000).default(20), {
    meaning: 'sends to one number a day, over all accounts',
    example: '20',
  }),
  SMS_LIMIT_PREFIX_HOUR: variable('SMS_LIMIT_PREFIX_HOUR', wholeNumber(1, 1_000_000).default(30), {
    meaning: 'sends an hour to numbers that differ in their last four digits only',
    example: '30',
  }),
  SMS_LIMIT_UNANSWERED: variable('SMS_LIMIT_UNANSWERED', wholeNumber(1, 10_000).default(5), {
    meaning:
      'sends to one account in a row without a right code; for more it must wait, longer each time',
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
  SMS_LIMIT_GLOBAL_DAY: variable(
    'SMS_LIMIT_GLOBAL_DAY',
    wholeNumber(1, 100_000_000).default(10_000),
    {
      meaning: 'sends a day over all instances',
      example: '10000',
    },
  ),
  SMS_LIMIT_COUNTRY_HOUR: variable(
    'SMS_LIMIT_COUNTRY_HOUR',
    wholeNumber(1, 10_000_000).optional(),
    {
      meaning: 'sends to one country an hour',
      example: '300',
      otherwise: 'none: only all countries together are limited',
    },
  ),
  SMTP_URL: variable('SMTP_URL', smtpUrl.optional(), {
    meaning: 'server for notices, password resets and invitations by mail ([more](mail.md))',
    example: 'smtps://user:password@mail.example.com',
    otherwise: 'none: mails go to the outbox in development, and nowhere in production',
    secret: true,
  }),
  MAIL_FROM: variable('MAIL_FROM', sender.optional(), {
    meaning: 'whom mails come from',
    example: 'Example Ltd <login@example.com>',
    otherwise: 'none, required with `SMTP_URL`',
  }),
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
}
