import type { Printer } from './printer.ts'
import { ADMIN_CLIENT_ID, NEW_PHONE, type Sample, STAFF } from './sample.ts'

interface Tour {
  sample: Sample
  adminSecret: string
  app: string
  issuer: string
  dataDir: string
  print: Printer
}

/** Tells where to click to see each thing that signing in has. */
export function printTour({ sample, adminSecret, app, issuer, dataDir, print }: Tour): void {
  const { username, newcomer, password, backupCodes } = sample
  const [admin, helpdesk, auditor] = STAFF
  print.title('Now you')
  print.table([
    ['App', app],
    ['Console', `${issuer}/admin`],
    ['Phone', `${issuer}/dev/outbox shows texts and mails`],
    ['Password', `${password} for ${username} and for ${newcomer}, and all others`],
  ])
  print.stop(
    'First sign-in',
    `Sign in to the app as ${newcomer}, who has no phone yet. Add ${NEW_PHONE} or an authenticator app, and keep the codes you are shown.`,
  )
  print.stop(
    'Another way',
    `Sign in as ${username}. Instead of the code, use the work phone or a backup code: ${backupCodes.slice(0, 2).join(' or ')}.`,
  )
  print.stop(
    'Remembered browser',
    'Tick the box below the code, sign out, and sign in again: the password is enough, and the app is told so (acr).',
  )
  print.stop(
    'Step-up',
    'Then press “Move money”. The app’s API wants two factors, so you confirm and type a code, and no password (RFC 9470).',
  )
  print.stop('Forgotten password', 'On the login page. The mail is on the phone’s page.')
  print.stop(
    'Your account',
    `${issuer}/account has phones, apps, codes, browsers, sessions and history.`,
  )
  print.stop('Languages', 'At the foot of each page.')
  print.stop('Audit trail', `DATA_DIR=${dataDir} npm run --silent cli -- audit export`)
  print.title('The admin’s side')
  print.stop(
    'Console',
    `Sign in at ${issuer}/admin as ${admin.username} (${admin.role}); the code comes to ${admin.phone} on the phone’s page. ${helpdesk.username} is ${helpdesk.role}, ${auditor.username} is ${auditor.role}, and each may do less.`,
  )
  print.stop(
    'What you see',
    'is made up: 190 people and a month of traffic, with a gateway that had a bad day and an attack that was stopped: choose “month”, and see Alerts, “Over”. Nothing of it was ever sent, so the budgets count only your own texts.',
  )
  print.stop('API', `${issuer}/api/admin/v1/openapi.json describes it. To ask it something:`)
  print.gap()
  print.note(`TOKEN=$(curl -s ${issuer}/token \\`)
  print.note(`  -u ${ADMIN_CLIENT_ID}:${adminSecret} \\`)
  print.note('  -d grant_type=client_credentials -d scope=admin:read \\')
  print.note(`  | sed 's/.*"access_token":"\\([^"]*\\).*/\\1/')`)
  print.note(`curl -s -H "Authorization: Bearer $TOKEN" \\`)
  print.note(`  "${issuer}/api/admin/v1/statistics?range=day"`)
  print.gap()
  print.note(`Each start makes ${username}, ${newcomer} and those three anew. Ctrl+C stops it.`)
}
