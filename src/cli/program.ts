import { Command } from 'commander'

/** Commands by their first word, in the order of the help. What they work with takes most of a command's time to load. */
const GROUPS = new Map<string, () => Promise<(program: Command) => void>>([
  ['account', async () => (await import('./account.ts')).addAccountCommands],
  ['phone', async () => (await import('./phone.ts')).addPhoneCommands],
  ['backup-codes', async () => (await import('./backup-codes.ts')).addBackupCodeCommands],
  ['bypass-code', async () => (await import('./bypass-codes.ts')).addBypassCodeCommands],
  ['client', async () => (await import('./client.ts')).addClientCommands],
  ['api', async () => (await import('./api.ts')).addApiCommands],
  ['keys', async () => (await import('./keys.ts')).addKeyCommands],
  ['import', async () => (await import('./import.ts')).addImport],
  ['export', async () => (await import('./export.ts')).addExportCommands],
  ['audit', async () => (await import('./audit.ts')).addAuditCommands],
  ['limits', async () => (await import('./limits.ts')).addLimitCommands],
  ['alerts', async () => (await import('./alerts.ts')).addAlertCommands],
  ['webhook', async () => (await import('./webhook.ts')).addWebhookCommands],
  ['gateway', async () => (await import('./gateway.ts')).addGatewayCommands],
  ['after-restore', async () => (await import('./after-restore.ts')).addAfterRestore],
  ['migrate', async () => (await import('./migrate.ts')).addMigrate],
  ['doctor', async () => (await import('./doctor.ts')).addDoctor],
])

/**
 * The command line; wrong usage and `--help` end in a `CommanderError` instead of the process.
 * @param first word of what is asked, if it is known: of the commands only its own are loaded then
 */
export async function createProgram(first?: string): Promise<Command> {
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
  const own = GROUPS.get(first ?? '')
  for (const load of own ? [own] : GROUPS.values()) {
    const add = await load()
    add(program)
  }
  return program
}
