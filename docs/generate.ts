import { writeFileSync } from 'node:fs'
import { defaultOf, documentation, variables } from '../src/config/variables.ts'
import { openApiDocument } from '../src/web/api/openapi.ts'
import { type Operations, operations } from '../src/web/api/operations.ts'

export const CONFIGURATION_PAGE = new URL('configuration.md', import.meta.url)
export const API_DOCUMENT = new URL('openapi.json', import.meta.url)

const ABOVE = `<!-- Made by \`npm run docs\` from src/config/variables.ts. Change it there. -->

# Configuration

All settings are environment variables. A file \`.env\` in the working directory is read too; what the environment sets already wins over it. [.env.example](../.env.example) is a start for production: values that still say \`change-me\` stop the start.

A variable that is set to nothing counts as not set. A value that is missing or wrong stops the start with one message that lists every fault, with an example for each. \`npm run cli -- doctor\` checks the same, and whether the settings work.

🔒 marks secrets: they belong in a secret store or a file that only the service can read. They are never logged.
`

const BELOW = `
## Keys

\`ENCRYPTION_KEYS\` seals what the database holds. \`COOKIE_KEYS\` signs cookies and form tokens. Make each with \`openssl rand -base64 32\`, and never use one for both.

How to change each while everything runs, on several instances too: [encryption keys](keys.md#encryption-keys), [cookie keys](keys.md#cookie-keys).

In development both are made at the first start and kept in \`DATA_DIR/development-keys.json\`, readable by its owner only.
`

/** The page `docs/configuration.md`, as the variables' schema and documentation say it. */
export function configurationPage(): string {
  const rows = Object.keys(variables.shape).map(row)
  const table = [['Variable', 'Default', 'Meaning', 'Example'], Array(4).fill('---'), ...rows]
  return `${ABOVE}\n${table.map(line).join('\n')}\n${BELOW}`
}

/** In the order of the schema, where what is general comes before the gateways. */
function row(name: string): string[] {
  const doc = documentation.get(name)
  if (!doc) throw new Error(`${name} is in the schema but not documented`)
  const { meaning, example, otherwise, secret } = doc
  return [
    `\`${name}\`${secret ? ' 🔒' : ''}`,
    otherwise ?? asCodeOrNone(defaultOf(name)),
    meaning,
    asCode(example),
  ]
}

function asCodeOrNone(text: string | undefined): string {
  return text === undefined ? 'none' : asCode(text)
}

function asCode(text: string): string {
  return text.includes('`') ? text : `\`${text}\``
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

/** The operations are told of and not carried out, so nothing need be behind them. */
const NOTHING: Operations = new Proxy(Object.create(null), { get: () => NOTHING })

/** The document `docs/openapi.json`, as a running provider answers with it. */
export function apiDocument(): string {
  return `${JSON.stringify(openApiDocument(operations(NOTHING)), undefined, 2)}\n`
}

if (import.meta.main) {
  writeFileSync(CONFIGURATION_PAGE, configurationPage())
  writeFileSync(API_DOCUMENT, apiDocument())
}
