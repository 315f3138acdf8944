import { type Child, startChild } from './children.ts'
import type { House } from './house.ts'
import { freePort } from './ports.ts'

/** A process of its own beside a house, on the same database; it resolves when the process can serve. */
export async function startInstance(
  house: Pick<House, 'variables'>,
  more: Record<string, string> = {},
): Promise<Child & { url: string }> {
  const port = String(await freePort())
  const child = startChild('src/main.ts', [], {
    ...house.variables,
    PORT: port,
    NODE_ENV: 'production',
    SMS_ALLOWED_COUNTRIES: '*',
    HOST: '127.0.0.1',
    TEXTBEE_TIMEOUT_MS: '2000',
    ...more,
  })
  await child.says('"ready"')
  return Object.assign(child, { url: `http://localhost:${port}` })
}
