import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { PASSWORD_INPUT_LIMIT } from '../accounts/passwords.ts'
import { Refusal } from '../errors.ts'

/** Reads standard input to its end; one trailing newline is taken off, nothing else. */
export async function readPassword(): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin) {
    chunks.push(Buffer.from(chunk))
    size += chunk.length
    // Too long for a password in any case, and perhaps without end; what was read gets the usual refusal.
    if (size > PASSWORD_INPUT_LIMIT + 2) break
  }
  return decode(Buffer.concat(chunks)).replace(/\r?\n$/, '')
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Refusal('password', 400, 'The password on standard input is not UTF-8 text.')
  }
}

/** Asks for a password at the terminal twice, without showing it. */
export async function askPassword(): Promise<string> {
  const password = await askHidden('Password: ')
  if ((await askHidden('The same again: ')) === password) return password
  throw new Refusal('password', 400, 'The two passwords differ.')
}

function askHidden(question: string): Promise<string> {
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silence, terminal: true })
  process.stderr.write(question)
  return new Promise((resolve, reject) => {
    lines.once('line', (line) => {
      resolve(line)
      lines.close()
    })
    lines.once('close', () => {
      process.stderr.write('\n')
      reject(new Refusal('password', 400, 'No password was given.'))
    })
  })
}
