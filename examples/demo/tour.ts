import type { Printer } from './printer.ts'
import { NEW_PHONE, type Sample } from './sample.ts'

interface Tour {
  sample: Sample
  app: string
  issuer: string
  dataDir: string
  print: Printer
}

/** Tells where to click to see each thing that signing in has. */
export function printTour({ sample, app, issuer, dataDir, print }: Tour): void {
  const { username, newcomer, password, backupCodes } = sample
  print.title('Now you')
  print.table([
    ['App', app],
    ['Phone', `${issuer}/dev/outbox shows texts and mails`],
    ['Password', `${password} for ${username} and for ${newcomer}`],
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
  print.gap()
  print.note(`Each start makes ${username} and ${newcomer} anew. Ctrl+C stops it.`)
}
