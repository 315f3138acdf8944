import { z } from 'zod'
import { variable } from './documentation.ts'
import {
  apiBase,
  idText,
  ownNumber,
  pathSecret,
  secretList,
  secretText,
  smsSender,
  timeout,
  wholeNumber,
} from './shapes.ts'

/** textbee, MessageBird, Bird, Smstools and GatewayAPI. */
export const guideGateways = {
  TEXTBEE_API_KEY: variable('TEXTBEE_API_KEY', secretText.optional(), {
    meaning: 'key from the textbee dashboard',
    example: '7a1b…',
    secret: true,
  }),
  TEXTBEE_DEVICE_ID: variable('TEXTBEE_DEVICE_ID', idText.optional(), {
    meaning: 'the phone that sends',
    example: '665f0c0e1f4b2a0012ab0001',
  }),
  TEXTBEE_SIM_ID: variable('TEXTBEE_SIM_ID', wholeNumber(0, 1_000_000).optional(), {
    meaning: 'which SIM sends, in a phone with two',
    example: '1',
  }),
  TEXTBEE_WEBHOOK_SECRET: variable('TEXTBEE_WEBHOOK_SECRET', secretList.optional(), {
    meaning: 'signing secret of its webhook; several during a change',
    example: '…',
    secret: true,
  }),
  TEXTBEE_BASE_URL: variable(
    'TEXTBEE_BASE_URL',
    apiBase.default('https://api.textbee.dev/api/v1'),
    {
      meaning: 'where textbee, or a textbee server of your own, is reached',
      example: 'https://api.textbee.dev/api/v1',
    },
  ),
  TEXTBEE_TIMEOUT_MS: variable('TEXTBEE_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
  MESSAGEBIRD_ACCESS_KEY: variable('MESSAGEBIRD_ACCESS_KEY', secretText.optional(), {
    meaning: 'access key of the API',
    example: 'live_…',
    secret: true,
  }),
  MESSAGEBIRD_SIGNING_KEY: variable('MESSAGEBIRD_SIGNING_KEY', secretList.optional(), {
    meaning: 'signing key of its reports; several during a change',
    example: '…',
    secret: true,
  }),
  MESSAGEBIRD_SENDER: variable('MESSAGEBIRD_SENDER', smsSender.optional(), {
    meaning: 'who texts by it come from, in place of `SMS_SENDER`',
    example: 'Example',
  }),
  MESSAGEBIRD_NUMBER: variable('MESSAGEBIRD_NUMBER', ownNumber.optional(), {
    meaning: 'number that calls, and that texts where names do not arrive',
    example: '+4512345678',
  }),
  MESSAGEBIRD_BASE_URL: variable(
    'MESSAGEBIRD_BASE_URL',
    apiBase.default('https://rest.messagebird.com'),
    { meaning: 'where MessageBird is reached', example: 'https://rest.messagebird.com' },
  ),
  MESSAGEBIRD_TIMEOUT_MS: variable('MESSAGEBIRD_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
  BIRD_API_KEY: variable(
    'BIRD_API_KEY',
    secretText.regex(/^bk_[a-z0-9-]+_./, 'must look like bk_REGION_TOKEN').optional(),
    {
      meaning: 'key of the Bird platform, which names its region',
      example: 'bk_eu1_…',
      secret: true,
    },
  ),
  BIRD_WEBHOOK_SECRET: variable('BIRD_WEBHOOK_SECRET', secretList.optional(), {
    meaning: 'secret of its webhook; several during a change',
    example: 'whsec_…',
    secret: true,
  }),
  BIRD_SENDER: variable('BIRD_SENDER', smsSender.optional(), {
    meaning: 'who texts by it come from, in place of `SMS_SENDER`',
    example: 'Example',
  }),
  BIRD_NUMBER: variable('BIRD_NUMBER', ownNumber.optional(), {
    meaning: 'number that texts come from where names do not arrive',
    example: '+4512345678',
  }),
  BIRD_BASE_URL: variable('BIRD_BASE_URL', apiBase.optional(), {
    meaning: 'where Bird is reached',
    example: 'https://eu1.platform.bird.com',
    otherwise: 'the region of the key',
  }),
  BIRD_TIMEOUT_MS: variable('BIRD_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
  SMSTOOLS_CLIENT_ID: variable('SMSTOOLS_CLIENT_ID', secretText.optional(), {
    meaning: 'client id of the API',
    example: '…',
    secret: true,
  }),
  SMSTOOLS_CLIENT_SECRET: variable('SMSTOOLS_CLIENT_SECRET', secretText.optional(), {
    meaning: 'client secret of the API',
    example: '…',
    secret: true,
  }),
  SMSTOOLS_WEBHOOK_SECRET: variable('SMSTOOLS_WEBHOOK_SECRET', secretList.optional(), {
    meaning: 'secret of its webhook; several during a change',
    example: '…',
    secret: true,
  }),
  SMSTOOLS_WEBHOOK_PATH: variable('SMSTOOLS_WEBHOOK_PATH', pathSecret.optional(), {
    meaning:
      'for accounts whose webhooks are not signed: a long random word that its callback address ends in',
    example: '…',
    secret: true,
  }),
  SMSTOOLS_VOICE: variable(
    'SMSTOOLS_VOICE',
    z.enum(['Female', 'Male'], 'must be Female or Male').default('Female'),
    { meaning: 'voice that speaks', example: 'Female' },
  ),
  SMSTOOLS_SENDER: variable('SMSTOOLS_SENDER', smsSender.optional(), {
    meaning: 'who texts by it come from, in place of `SMS_SENDER`',
    example: 'Example',
  }),
  SMSTOOLS_NUMBER: variable('SMSTOOLS_NUMBER', ownNumber.optional(), {
    meaning: 'number that calls, and that texts where names do not arrive',
    example: '+4512345678',
  }),
  SMSTOOLS_BASE_URL: variable(
    'SMSTOOLS_BASE_URL',
    apiBase.default('https://api.smsgatewayapi.com/v1'),
    { meaning: 'where Smstools is reached', example: 'https://api.smsgatewayapi.com/v1' },
  ),
  SMSTOOLS_TIMEOUT_MS: variable('SMSTOOLS_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
  GATEWAYAPI_TOKEN: variable('GATEWAYAPI_TOKEN', secretText.optional(), {
    meaning: 'API token',
    example: '…',
    secret: true,
  }),
  GATEWAYAPI_KEY: variable('GATEWAYAPI_KEY', secretText.optional(), {
    meaning: 'OAuth 1.0a consumer key, in place of a token',
    example: '…',
    secret: true,
  }),
  GATEWAYAPI_SECRET: variable('GATEWAYAPI_SECRET', secretText.optional(), {
    meaning: 'its secret',
    example: '…',
    secret: true,
  }),
  GATEWAYAPI_API: variable(
    'GATEWAYAPI_API',
    z.enum(['rest', 'messaging'], 'must be rest or messaging').default('rest'),
    { meaning: 'which of its APIs: `rest`, or the newer `messaging`', example: 'rest' },
  ),
  GATEWAYAPI_CLASS: variable(
    'GATEWAYAPI_CLASS',
    z
      .enum(['standard', 'premium', 'secret'], 'must be standard, premium or secret')
      .default('secret'),
    { meaning: 'message class; `secret` keeps texts out of its logs', example: 'secret' },
  ),
  GATEWAYAPI_WEBHOOK_SECRET: variable('GATEWAYAPI_WEBHOOK_SECRET', secretList.optional(), {
    meaning: 'secret of its webhook; several during a change',
    example: '…',
    secret: true,
  }),
  GATEWAYAPI_SENDER: variable('GATEWAYAPI_SENDER', smsSender.optional(), {
    meaning: 'who texts by it come from, in place of `SMS_SENDER`',
    example: 'Example',
  }),
  GATEWAYAPI_NUMBER: variable('GATEWAYAPI_NUMBER', ownNumber.optional(), {
    meaning: 'number that texts come from where names do not arrive',
    example: '+4512345678',
  }),
  GATEWAYAPI_BASE_URL: variable('GATEWAYAPI_BASE_URL', apiBase.optional(), {
    meaning: 'where GatewayAPI is reached, for accounts in the EU at `gatewayapi.eu`',
    example: 'https://gatewayapi.eu',
    otherwise: '`https://gatewayapi.com`, or `https://messaging.gatewayapi.com` for `messaging`',
  }),
  GATEWAYAPI_TIMEOUT_MS: variable('GATEWAYAPI_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
}
