import { type Command, Option } from 'commander'
import { type ExportFormat, exportLines } from '../transfer/export-lines.ts'
import { inSession } from './session.ts'
import { asArray, write } from './stream.ts'

interface ExportOptions {
  format: ExportFormat
  withPasswordHashes?: true
  json?: true
}

export function addExportCommands(program: Command): void {
  const noun = program.command('export').description('what another system, or this one, can import')

  // Not by `perform`: there may be more accounts than fit into memory, so they are written as they are read.
  noun
    .command('accounts')
    .description('write all accounts with their phones, oldest first')
    .addOption(new Option('--format <format>').choices(['csv', 'jsonl']).default('jsonl'))
    .option('--with-password-hashes', 'write the hashes of passwords, too: keep such a file safe')
    .option('--json', 'write one JSON array instead of lines')
    .addHelpText(
      'after',
      '\nExample:\n  npm run --silent cli -- export accounts --format csv > accounts.csv',
    )
    .action(async ({ format, json, ...options }: ExportOptions) =>
      inSession(async ({ exportAccounts }) => {
        const withPasswordHashes = options.withPasswordHashes === true
        const accounts = await exportAccounts({ withPasswordHashes })
        await write(json ? asArray(accounts) : exportLines(accounts, format, withPasswordHashes))
      }),
    )
}
