import type { MatchExtended, Score, ZxcvbnFactory } from '@zxcvbn-ts/core'
import { Refusal } from '../errors.ts'
import { normalized } from './passwords.ts'

export type PasswordQuality = ReturnType<typeof createPasswordQuality>

export type PasswordFault = 'too-short' | 'too-long' | 'common' | 'about-you' | 'guessable'

/** How hard a password is to guess: 0 for the first guess of many, 4 for beyond anyone's patience. */
export type Strength = Score

/** Why a password may not be chosen; `strength` is null where its length alone decided. */
export interface Weak {
  ok: false
  fault: PasswordFault
  hint: string
  strength: Strength | null
}

export type Judgement = { ok: true; strength: Strength } | Weak

/** What a person's passwords mustn't be made of. */
export interface PasswordOwner {
  username: string
  email?: string | null | undefined
  name?: string | null | undefined
}

export const SHORTEST_PASSWORD = 8
export const LONGEST_PASSWORD = 256

/** From here on it is refused as too guessable: less than a million guesses. */
const REFUSED_STRENGTH: Strength = 1

/**
 * What is looked at of a long password, and of how many letters in disguise. Both bound the time it takes:
 * some 50 ms for the worst there is, where the library's own defaults take more than half a second.
 */
const LOOKED_AT = 64
const DISGUISES_AT_MOST = 8

/** Shorter words say nothing about anyone. */
const SHORTEST_WORD = 3
/** A password made of what everyone knows of its owner has fewer characters than that beside. */
const LEAST_OF_ONES_OWN = 5

const HINTS: Record<PasswordFault, string> = {
  'too-short': `A password has from ${SHORTEST_PASSWORD} to ${LONGEST_PASSWORD} characters; this one is too short.`,
  'too-long': `A password has from ${SHORTEST_PASSWORD} to ${LONGEST_PASSWORD} characters; this one is too long.`,
  common:
    'This password is on the lists of those that were stolen elsewhere and are tried first. Choose another, such as three or four words that have nothing to do with each other.',
  'about-you':
    'This password is made of your name, your address or the name of this service, which are tried first. Choose another, such as three or four words that have nothing to do with each other.',
  guessable:
    'This password is easy to guess. Make it longer, such as three or four words that have nothing to do with each other.',
}

/**
 * Tells whether a password may be chosen: by length, and by how soon it would be guessed. There are no rules
 * of composition. Never asked at a sign-in: a password that was chosen stays good.
 */
export function createPasswordQuality({ brand }: { brand: string }) {
  let loading: Promise<ZxcvbnFactory> | undefined

  async function judge(password: string, owner: PasswordOwner): Promise<Judgement> {
    const typed = normalized(password)
    const length = [...typed].length
    if (length < SHORTEST_PASSWORD) return refused('too-short', null)
    if (length > LONGEST_PASSWORD) return refused('too-long', null)
    loading ??= load()
    const known = wordsOf(owner, brand)
    const { score, sequence } = (await loading).check(typed, known)
    if (sequence.length === 1 && isStolen(sequence[0])) return refused('common', score)
    if (isMadeOf(known, typed)) return refused('about-you', score)
    if (score > REFUSED_STRENGTH) return { ok: true, strength: score }
    return refused(sequence.some(isKnownWord) ? 'about-you' : 'guessable', score)
  }

  return {
    judge,

    /** @throws Refusal with a sentence that helps, when the password may not be chosen */
    async assert(password: string, owner: PasswordOwner): Promise<void> {
      const judgement = await judge(password, owner)
      if (!judgement.ok) throw new Refusal('weak_password', 400, judgement.hint)
    },
  }
}

function refused(fault: PasswordFault, strength: Strength | null): Weak {
  return { ok: false, fault, hint: HINTS[fault], strength }
}

/** Its dictionaries take half a second and some megabytes, so only whoever needs them has them. */
async function load(): Promise<ZxcvbnFactory> {
  const [{ ZxcvbnFactory }, common, english] = await Promise.all([
    import('@zxcvbn-ts/core'),
    import('@zxcvbn-ts/language-common'),
    import('@zxcvbn-ts/language-en'),
  ])
  return new ZxcvbnFactory({
    dictionary: { ...common.dictionary, ...english.dictionary },
    graphs: common.adjacencyGraphs,
    maxLength: LOOKED_AT,
    l33tMaxSubstitutions: DISGUISES_AT_MOST,
  })
}

function isStolen(match: MatchExtended | undefined): boolean {
  return match?.pattern === 'dictionary' && match.dictionaryName === 'passwords-common'
}

function isKnownWord(match: MatchExtended): boolean {
  return match.pattern === 'dictionary' && match.dictionaryName === 'userInputs'
}

/** Whole and in words, longest first. */
function wordsOf({ username, email, name }: PasswordOwner, brand: string): string[] {
  const texts = [username, email?.split('@')[0], name, brand].map((text) => flat(text ?? ''))
  const words = texts.flatMap((text) => [text, ...text.split(/[^\p{L}\p{N}]+/u)])
  return [...new Set(words)]
    .filter((word) => word.length >= SHORTEST_WORD)
    .toSorted((a, b) => b.length - a.length)
}

function isMadeOf(known: readonly string[], password: string): boolean {
  const typed = flat(password)
  const rest = known.reduce((left, word) => left.replaceAll(word, ' '), typed)
  return rest !== typed && rest.replace(/[^\p{L}\p{N}]/gu, '').length < LEAST_OF_ONES_OWN
}

function flat(text: string): string {
  return text.normalize('NFKC').toLowerCase()
}
