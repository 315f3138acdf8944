import { Command } from 'commander'
import { addAccountCommands } from './account.ts'
import { addAfterRestore } from './after-restore.ts'
import { addAlertCommands } from './alerts.ts'
import { addApiCommands } from './api.ts'
import { addAuditCommands } from './audit.ts'
import { addBackupCodeCommands } from './backup-codes.ts'
import { addBypassCodeCommands } from './bypass-codes.ts'
import { addClientCommands } from './client.ts'
import { addDoctor } from './doctor.ts'
import { addExportCommands } from './export.ts'
import { addGatewayCommands } from './gateway.ts'
import { addImport } from './import.ts'
import { addKeyCommands } from './keys.ts'
import { addLimitCommands } from './limits.ts'
import { addMigrate } from './migrate.ts'
import { addPhoneCommands } from './phone.ts'
import { addWebhookCommands } from './webhook.ts'

/** The whole command line; wrong usage and `--help` end in a `CommanderError` instead of the process. */
export function createProgram(): Command {
  const program = new Command('sallyport')
    .description('Accounts, phones and clients of a Sallyport, and the care of its database.')
    // Set before any command is added, since commands take these over from their parent when they are made.
    .exitOverride()
    .showHelpAfterError('(--help tells how it is used)')
    .addHelpText(
      'after',
      `
It reads the same environment (and .env) as the server, and works beside a running one.
From a checkout: npm run cli -- COMMAND, or with nothing but the answer on standard output:
npm run --silent cli -- COMMAND --json

Exit codes: 0 done, 1 refused (the reason stands on standard error), 2 wrong usage.`,
    )
  addAccountCommands(program)
  addPhoneCommands(program)
  addBackupCodeCommands(program)
  addBypassCodeCommands(program)
  addClientCommands(program)
  addApiCommands(program)
  addKeyCommands(program)
  addImport(program)
  addExportCommands(program)
  addAuditCommands(program)
  addLimitCommands(program)
  addAlertCommands(program)
  addWebhookCommands(program)
  addGatewayCommands(program)
  addAfterRestore(program)
  addMigrate(program)
  addDoctor(program)
  return program
}
