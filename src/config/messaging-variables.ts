import { z } from 'zod'
import { variable } from './documentation.ts'
import {
  apiBase,
  countries,
  list,
  routes,
  secretText,
  sender,
  smsSender,
  smtpUrl,
  wholeNumber,
} from './shapes.ts'

/** Canada, Puerto Rico and the United States carry no names. */
const NAMELESS: ReadonlySet<string> = new Set(['US', 'CA', 'PR'])

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
  SMS_LIMIT_PREFIX_UNANSWERED: variable(
    'SMS_LIMIT_PREFIX_UNANSWERED',
    wholeNumber(1, 1_000_000).default(4),
    {
      meaning:
        'sends to [newcomers](limits.md#strangers) whose numbers differ in their last four digits only, before any of their codes is typed; a country may have more',
      example: '4',
    },
  ),
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
    meaning: 'gateways, tried in this order ([which there are](gateways.md))',
    example: 'gatewayapi,telnyx',
    otherwise: '`outbox` in development, required in production',
  }),
  SMS_ROUTES: variable('SMS_ROUTES', routes.optional(), {
    meaning: 'another order for some countries',
    example: 'DK=gatewayapi,telnyx;US=twilio',
    otherwise: 'none: every country by `SMS_GATEWAYS`',
  }),
  VOICE_GATEWAYS: variable('VOICE_GATEWAYS', list.optional(), {
    meaning: 'gateways that call with the code, tried in this order',
    example: 'telnyx',
    otherwise: 'none: nobody is called',
  }),
  SMS_SENDER: variable('SMS_SENDER', smsSender.optional(), {
    meaning: 'who texts come from, at gateways that take a sender',
    example: 'Example',
    otherwise: '`BRAND_NAME` cut to 11 letters and digits',
  }),
  SMS_NUMERIC_COUNTRIES: variable('SMS_NUMERIC_COUNTRIES', countries.default(NAMELESS), {
    meaning: 'ISO codes of countries where names as senders do not arrive, only numbers',
    example: 'US,CA,PR',
    otherwise: '`US,CA,PR`',
  }),
  SMS_DELIVERY_WAIT_SECONDS: variable(
    'SMS_DELIVERY_WAIT_SECONDS',
    wholeNumber(1, 300).default(20),
    {
      meaning:
        'how long an accepted text may stay undelivered before the next gateway is tried, where the first one reports deliveries',
      example: '20',
    },
  ),
  SIM_SWAP_URL: variable('SIM_SWAP_URL', apiBase.optional(), {
    meaning: 'CAMARA SIM Swap check, asked before a code is sent ([more](sim-swap.md))',
    example: 'https://sim-swap.example.com/sim-swap/v2/check',
    otherwise: 'none: nothing is asked',
  }),
  SIM_SWAP_TOKEN: variable('SIM_SWAP_TOKEN', secretText.optional(), {
    meaning: 'bearer token for it',
    example: '…',
    secret: true,
  }),
  SIM_SWAP_HOURS: variable('SIM_SWAP_HOURS', wholeNumber(1, 2400).default(72), {
    meaning: 'a SIM changed within so many hours is taken for swapped',
    example: '72',
  }),
  SIM_SWAP_POLICY: variable(
    'SIM_SWAP_POLICY',
    z.enum(['refuse', 'alert'], 'must be refuse or alert').default('refuse'),
    {
      meaning:
        'what a swap leads to: `refuse` asks for another factor, `alert` sends the code and records it',
      example: 'refuse',
    },
  ),
}
