import { variable } from './documentation.ts'
import { hosts, mailAddresses } from './shapes.ts'

/** Who is told when something needs a look. */
export const alerts = {
  ALERT_MAIL_TO: variable('ALERT_MAIL_TO', mailAddresses.default([]), {
    meaning: 'who gets a mail of each [alert](alerts.md), and of its end; comma-separated',
    example: 'ops@example.com,oncall@example.com',
    otherwise: 'nobody',
  }),
  WEBHOOK_ALLOWED_HOSTS: variable('WEBHOOK_ALLOWED_HOSTS', hosts.default(new Set()), {
    meaning:
      'hosts of [webhooks](alerts.md#where-webhooks-may-lead), of apps [told of sign-outs](connect-an-app.md#told-of-sign-outs), and of [apps’ keys](protocol.md#keys-in-place-of-a-secret), that may be inside your network, and without TLS; comma-separated names and addresses, without ports',
    example: 'hooks.intranet.example,10.0.0.5',
    otherwise: 'none: only https: addresses that everyone can reach',
  }),
}
