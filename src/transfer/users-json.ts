import { Tokenizer, TokenParser, TokenType } from '@streamparser/json'
import { Refusal } from '../errors.ts'
import { FORBIDDEN_KEYS } from '../json-keys.ts'
import type { Source } from './source.ts'
import type { Item, Position } from './text.ts'

/** As much text may stand in one account. */
const USER_CHARACTERS = 256 * 1024
/** One value of a realm's settings may be as long as this: its own pages are. */
const VALUE_BYTES = 4 * 1024 * 1024
const DEPTH_MOST = 200

type Token = Parameters<Tokenizer['onToken']>[0]
type Found = Pick<Item, 'input' | 'fault'>

/** Where a token stands: the containers around it, each under its key. */
interface Container {
  list: boolean
  key: string | undefined
}

/**
 * The accounts of a JSON document that has them in a list `users`, at the top or in a list of realms. Of the rest
 * nothing is kept, so a document may be as large as it likes. It can't be entered in the middle: what was read
 * before is read again and passed over.
 */
export async function* readUsers(
  source: Source,
  from: Position,
  toInput: (user: unknown) => Found,
): AsyncGenerator<Item> {
  const found: Found[] = []
  const walk = createWalk((user) => found.push(user))
  const tokenizer = new Tokenizer({ stringBufferSize: 64 * 1024 })
  tokenizer.onToken = (token) => walk.token(token)
  const utf8 = new TextDecoder('utf-8', { fatal: true })
  let bytes = 0
  let lines = 0
  for await (const chunk of source.read(0)) {
    const fault = faultOf(() => {
      utf8.decode(chunk, { stream: true })
      tokenizer.write(chunk)
      walk.assertShort(chunk.length)
    })
    bytes += chunk.length
    for (const user of found.splice(0)) {
      lines++
      if (lines <= from.lines) continue
      const read = 'fault' in user ? user : toInput(user.input)
      yield { line: lines, end: { bytes, lines }, ...read }
    }
    if (fault) throw fault
  }
  if (bytes === 0) throw new Refusal('empty', 400, 'The file is empty.')
  if (!walk.isClosed()) throw new Refusal('json', 400, 'The file ends in the middle of its JSON.')
  if (!walk.hasSeenUsers()) throw new Refusal('json', 400, 'The file has no list of users.')
}

/** @returns a refusal that quotes nothing of what was read; undefined when there is nothing to refuse */
function faultOf(work: () => void): Refusal | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    return new Refusal(
      'json',
      400,
      'The file is not JSON in UTF-8. What stood before that was read.',
    )
  }
}

function createWalk(emit: (user: Found) => void) {
  const around: Container[] = []
  let key: string | undefined
  let text: string | undefined
  let user: ReturnType<typeof createUser> | undefined
  let seenUsers = false
  let sinceToken = 0

  function isUsers(): boolean {
    const [first, second] = around
    const list = around.at(-1)
    if (!list?.list || list.key !== 'users') return false
    return (
      (around.length === 2 && first?.list === false) ||
      (around.length === 3 && first?.list === true && second?.list === false)
    )
  }

  function open(list: boolean): void {
    if (!user && !list && isUsers()) user = createUser(around.length)
    if (around.length >= DEPTH_MOST)
      throw new Refusal('json', 400, `The file is nested more than ${DEPTH_MOST} deep.`)
    around.push({ list, key })
    key = undefined
    if (isUsers()) seenUsers = true
  }

  function close(): boolean {
    around.pop()
    key = undefined
    return user?.depth === around.length
  }

  return {
    token(token: Token): void {
      sinceToken = 0
      let over = false
      if (token.token === TokenType.LEFT_BRACE) open(false)
      else if (token.token === TokenType.LEFT_BRACKET) open(true)
      else if (token.token === TokenType.RIGHT_BRACE || token.token === TokenType.RIGHT_BRACKET)
        over = close()
      else if (token.token === TokenType.STRING) text = String(token.value)
      else if (token.token === TokenType.COLON) {
        key = text
        user?.sawKey(text ?? '')
      } else if (token.token === TokenType.COMMA) key = undefined
      user?.token(token)
      if (!over || !user) return
      emit(user.result())
      user = undefined
    },

    /** @throws Refusal when a value goes on and on */
    assertShort(bytes: number): void {
      sinceToken += bytes
      if (sinceToken > VALUE_BYTES)
        throw new Refusal('json', 400, 'The file has a value of more than 4 MiB.')
    },

    isClosed: () => around.length === 0,
    hasSeenUsers: () => seenUsers,
  }
}

/** Puts one account together, as long as it is a reasonable one. */
function createUser(depth: number) {
  let input: unknown
  let fault: string | undefined
  let size = 0
  const parser = new TokenParser({ paths: ['$'] })
  parser.onValue = ({ value }) => {
    input = value
  }

  return {
    depth,

    sawKey(key: string): void {
      if (FORBIDDEN_KEYS.has(key)) fault = 'The account has a key that no account has.'
    },

    token(token: Token): void {
      size += 1 + (typeof token.value === 'string' ? token.value.length : 0)
      if (size > USER_CHARACTERS) fault = 'The account is longer than 256 KiB.'
      // A key that is forbidden is known only behind its colon, and never gets its value.
      if (!fault) parser.write(token)
    },

    result: (): Found => (fault ? { fault } : { input }),
  }
}
