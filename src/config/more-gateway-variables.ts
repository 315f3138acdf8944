import { z } from 'zod'
import { variable } from './documentation.ts'
import {
  apiBase,
  idText,
  ownNumber,
  privateKey,
  publicKeys,
  secretList,
  secretText,
  smsSender,
  timeout,
} from './shapes.ts'

/** Telnyx, Twilio, Vonage, and a receiver of one's own. */
export const moreGateways = {
  TELNYX_API_KEY: variable('TELNYX_API_KEY', secretText.optional(), {
    meaning: 'API key',
    example: 'KEY…',
    secret: true,
  }),
  TELNYX_MESSAGING_PROFILE_ID: variable('TELNYX_MESSAGING_PROFILE_ID', idText.optional(), {
    meaning: 'messaging profile that texts are sent under',
    example: '40017d1c-…',
  }),
  TELNYX_PUBLIC_KEY: variable('TELNYX_PUBLIC_KEY', publicKeys.optional(), {
    meaning: 'public key of the account, which its webhooks are signed with',
    example: '6kpsY+Kc…',
  }),
  TELNYX_ACCOUNT_SID: variable('TELNYX_ACCOUNT_SID', idText.optional(), {
    meaning: 'account of the TeXML application, for calls',
    example: '61c9…',
  }),
  TELNYX_TEXML_APPLICATION_ID: variable('TELNYX_TEXML_APPLICATION_ID', idText.optional(), {
    meaning: 'TeXML application that calls are made by',
    example: '2137…',
  }),
  TELNYX_VERIFY_PROFILE_ID: variable('TELNYX_VERIFY_PROFILE_ID', idText.optional(), {
    meaning: 'Verify profile, for `telnyx-verify`',
    example: '49000…',
  }),
  TELNYX_SENDER: variable('TELNYX_SENDER', smsSender.optional(), {
    meaning: 'who texts by it come from, in place of `SMS_SENDER`',
    example: 'Example',
  }),
  TELNYX_NUMBER: variable('TELNYX_NUMBER', ownNumber.optional(), {
    meaning: 'number that calls, and that texts where names do not arrive',
    example: '+4512345678',
  }),
  TELNYX_BASE_URL: variable('TELNYX_BASE_URL', apiBase.default('https://api.telnyx.com/v2'), {
    meaning: 'where Telnyx is reached',
    example: 'https://api.telnyx.com/v2',
  }),
  TELNYX_TIMEOUT_MS: variable('TELNYX_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
  TWILIO_ACCOUNT_SID: variable(
    'TWILIO_ACCOUNT_SID',
    z
      .string()
      .regex(/^AC[0-9a-zA-Z]{32}$/, 'must be AC and 32 letters and digits')
      .optional(),
    { meaning: 'account', example: 'AC0123456789abcdef0123456789abcdef' },
  ),
  TWILIO_AUTH_TOKEN: variable('TWILIO_AUTH_TOKEN', secretList.optional(), {
    meaning: 'auth token; its callbacks are signed with it, by any of several during a change',
    example: '…',
    secret: true,
  }),
  TWILIO_API_KEY: variable(
    'TWILIO_API_KEY',
    z
      .string()
      .regex(/^SK[0-9a-zA-Z]{32}$/, 'must be SK and 32 letters and digits')
      .optional(),
    {
      meaning: 'API key to send with in place of the auth token',
      example: 'SK0123456789abcdef0123456789abcdef',
    },
  ),
  TWILIO_API_SECRET: variable('TWILIO_API_SECRET', secretText.optional(), {
    meaning: 'its secret',
    example: '…',
    secret: true,
  }),
  TWILIO_MESSAGING_SERVICE_SID: variable(
    'TWILIO_MESSAGING_SERVICE_SID',
    z
      .string()
      .regex(/^MG[0-9a-zA-Z]{32}$/, 'must be MG and 32 letters and digits')
      .optional(),
    {
      meaning: 'messaging service that chooses the sender',
      example: 'MG0123456789abcdef0123456789abcdef',
    },
  ),
  TWILIO_CONTENT_RETENTION: variable(
    'TWILIO_CONTENT_RETENTION',
    z.enum(['discard', 'retain'], 'must be discard or retain').default('discard'),
    {
      meaning:
        'whether Twilio keeps the text, code included; accounts that may not discard it need `retain`',
      example: 'discard',
    },
  ),
  TWILIO_SENDER: variable('TWILIO_SENDER', smsSender.optional(), {
    meaning: 'who texts by it come from, in place of `SMS_SENDER`',
    example: 'Example',
  }),
  TWILIO_NUMBER: variable('TWILIO_NUMBER', ownNumber.optional(), {
    meaning: 'number that calls, and that texts where names do not arrive',
    example: '+4512345678',
  }),
  TWILIO_BASE_URL: variable('TWILIO_BASE_URL', apiBase.default('https://api.twilio.com'), {
    meaning: 'where Twilio is reached',
    example: 'https://api.twilio.com',
  }),
  TWILIO_TIMEOUT_MS: variable('TWILIO_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
  VONAGE_API_KEY: variable('VONAGE_API_KEY', secretText.optional(), {
    meaning: 'API key',
    example: 'a1b2c3d4',
  }),
  VONAGE_API_SECRET: variable('VONAGE_API_SECRET', secretText.optional(), {
    meaning: 'API secret',
    example: '…',
    secret: true,
  }),
  VONAGE_SIGNATURE_SECRET: variable('VONAGE_SIGNATURE_SECRET', secretList.optional(), {
    meaning: 'signature secret of its webhooks; several during a change',
    example: '…',
    secret: true,
  }),
  VONAGE_APPLICATION_ID: variable('VONAGE_APPLICATION_ID', idText.optional(), {
    meaning: 'application that calls are made by',
    example: 'aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab',
  }),
  VONAGE_PRIVATE_KEY: variable('VONAGE_PRIVATE_KEY', privateKey.optional(), {
    meaning: 'its private key in PEM, with `\\n` for line breaks',
    example: '-----BEGIN PRIVATE KEY-----\\n…',
    secret: true,
  }),
  VONAGE_SENDER: variable('VONAGE_SENDER', smsSender.optional(), {
    meaning: 'who texts by it come from, in place of `SMS_SENDER`',
    example: 'Example',
  }),
  VONAGE_NUMBER: variable('VONAGE_NUMBER', ownNumber.optional(), {
    meaning: 'number that calls, and that texts where names do not arrive',
    example: '+4512345678',
  }),
  VONAGE_BASE_URL: variable('VONAGE_BASE_URL', apiBase.default('https://api.nexmo.com'), {
    meaning: 'where Vonage is reached',
    example: 'https://api.nexmo.com',
  }),
  VONAGE_TIMEOUT_MS: variable('VONAGE_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
  HTTP_SMS_URL: variable('HTTP_SMS_URL', apiBase.optional(), {
    meaning: 'address that gets each message as signed JSON',
    example: 'https://sms.example.com/send',
  }),
  HTTP_SMS_SECRET: variable('HTTP_SMS_SECRET', secretList.optional(), {
    meaning: 'Standard Webhooks secret: the first signs what is sent, all verify reports',
    example: 'whsec_…',
    secret: true,
  }),
  HTTP_SMS_SENDER: variable('HTTP_SMS_SENDER', smsSender.optional(), {
    meaning: 'who texts by it come from, in place of `SMS_SENDER`',
    example: 'Example',
  }),
  HTTP_SMS_NUMBER: variable('HTTP_SMS_NUMBER', ownNumber.optional(), {
    meaning: 'number that texts come from where names do not arrive',
    example: '+4512345678',
  }),
  HTTP_SMS_TIMEOUT_MS: variable('HTTP_SMS_TIMEOUT_MS', timeout, {
    meaning: 'how long one try may take',
    example: '5000',
  }),
}
