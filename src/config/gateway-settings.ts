import type { Variables } from './variables.ts'

/**
 * What each gateway's driver is made with, where all it always needs is given. These hold credentials, so they
 * are kept with the secrets.
 */
export function gatewaySettings(v: Variables) {
  return {
    textbee: v.TEXTBEE_API_KEY &&
      v.TEXTBEE_DEVICE_ID && {
        baseUrl: v.TEXTBEE_BASE_URL,
        apiKey: v.TEXTBEE_API_KEY,
        deviceId: v.TEXTBEE_DEVICE_ID,
        simSubscriptionId: v.TEXTBEE_SIM_ID,
        webhookSecrets: v.TEXTBEE_WEBHOOK_SECRET ?? [],
        timeoutMs: v.TEXTBEE_TIMEOUT_MS,
      },
    messagebird: v.MESSAGEBIRD_ACCESS_KEY && {
      baseUrl: v.MESSAGEBIRD_BASE_URL,
      accessKey: v.MESSAGEBIRD_ACCESS_KEY,
      signingKeys: v.MESSAGEBIRD_SIGNING_KEY ?? [],
      timeoutMs: v.MESSAGEBIRD_TIMEOUT_MS,
      sender: v.MESSAGEBIRD_SENDER,
      number: v.MESSAGEBIRD_NUMBER,
    },
    bird: v.BIRD_API_KEY && {
      baseUrl: v.BIRD_BASE_URL ?? `https://${v.BIRD_API_KEY.split('_')[1]}.platform.bird.com`,
      apiKey: v.BIRD_API_KEY,
      webhookSecrets: v.BIRD_WEBHOOK_SECRET ?? [],
      timeoutMs: v.BIRD_TIMEOUT_MS,
      sender: v.BIRD_SENDER,
      number: v.BIRD_NUMBER,
    },
    smstools: v.SMSTOOLS_CLIENT_ID &&
      v.SMSTOOLS_CLIENT_SECRET && {
        baseUrl: v.SMSTOOLS_BASE_URL,
        clientId: v.SMSTOOLS_CLIENT_ID,
        clientSecret: v.SMSTOOLS_CLIENT_SECRET,
        webhookSecrets: v.SMSTOOLS_WEBHOOK_SECRET ?? [],
        webhookPath: v.SMSTOOLS_WEBHOOK_PATH,
        voice: v.SMSTOOLS_VOICE,
        timeoutMs: v.SMSTOOLS_TIMEOUT_MS,
        sender: v.SMSTOOLS_SENDER,
        number: v.SMSTOOLS_NUMBER,
      },
    telnyx: v.TELNYX_API_KEY && {
      baseUrl: v.TELNYX_BASE_URL,
      apiKey: v.TELNYX_API_KEY,
      messagingProfileId: v.TELNYX_MESSAGING_PROFILE_ID,
      verifyProfileId: v.TELNYX_VERIFY_PROFILE_ID,
      accountSid: v.TELNYX_ACCOUNT_SID,
      texmlApplicationId: v.TELNYX_TEXML_APPLICATION_ID,
      publicKeys: v.TELNYX_PUBLIC_KEY ?? [],
      timeoutMs: v.TELNYX_TIMEOUT_MS,
      sender: v.TELNYX_SENDER,
      number: v.TELNYX_NUMBER,
    },
    gatewayapi: (v.GATEWAYAPI_TOKEN ?? v.GATEWAYAPI_KEY) && {
      baseUrl:
        v.GATEWAYAPI_BASE_URL ??
        `https://${v.GATEWAYAPI_API === 'messaging' ? 'messaging.' : ''}gatewayapi.com`,
      api: v.GATEWAYAPI_API,
      token: v.GATEWAYAPI_TOKEN,
      consumer:
        v.GATEWAYAPI_KEY && v.GATEWAYAPI_SECRET
          ? { key: v.GATEWAYAPI_KEY, secret: v.GATEWAYAPI_SECRET }
          : undefined,
      messageClass: v.GATEWAYAPI_CLASS,
      webhookSecrets: v.GATEWAYAPI_WEBHOOK_SECRET ?? [],
      timeoutMs: v.GATEWAYAPI_TIMEOUT_MS,
      sender: v.GATEWAYAPI_SENDER,
      number: v.GATEWAYAPI_NUMBER,
    },
    twilio: v.TWILIO_ACCOUNT_SID &&
      v.TWILIO_AUTH_TOKEN && {
        baseUrl: v.TWILIO_BASE_URL,
        accountSid: v.TWILIO_ACCOUNT_SID,
        authTokens: v.TWILIO_AUTH_TOKEN,
        apiKey:
          v.TWILIO_API_KEY && v.TWILIO_API_SECRET
            ? { sid: v.TWILIO_API_KEY, secret: v.TWILIO_API_SECRET }
            : undefined,
        messagingServiceSid: v.TWILIO_MESSAGING_SERVICE_SID,
        contentRetention: v.TWILIO_CONTENT_RETENTION,
        timeoutMs: v.TWILIO_TIMEOUT_MS,
        sender: v.TWILIO_SENDER,
        number: v.TWILIO_NUMBER,
      },
    vonage: v.VONAGE_API_KEY &&
      v.VONAGE_API_SECRET && {
        baseUrl: v.VONAGE_BASE_URL,
        apiKey: v.VONAGE_API_KEY,
        apiSecret: v.VONAGE_API_SECRET,
        applicationId: v.VONAGE_APPLICATION_ID,
        privateKey: v.VONAGE_PRIVATE_KEY,
        signatureSecrets: v.VONAGE_SIGNATURE_SECRET ?? [],
        timeoutMs: v.VONAGE_TIMEOUT_MS,
        sender: v.VONAGE_SENDER,
        number: v.VONAGE_NUMBER,
      },
    http: v.HTTP_SMS_URL &&
      v.HTTP_SMS_SECRET && {
        url: v.HTTP_SMS_URL,
        secrets: v.HTTP_SMS_SECRET,
        timeoutMs: v.HTTP_SMS_TIMEOUT_MS,
        sender: v.HTTP_SMS_SENDER,
        number: v.HTTP_SMS_NUMBER,
      },
  }
}
