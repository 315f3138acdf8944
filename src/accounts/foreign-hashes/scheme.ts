/** Compares a password with the hash it was made for. Takes its time off the event loop. */
export type Check = (password: string) => Promise<boolean>

/** Why a hash isn't taken: it can't be read, or judging it would take so long that it were a way to stop us. */
export type HashFault = 'malformed' | 'too-costly'

/** Finds the signer key of a Firebase project by the id that stands in its hashes. */
export type FindSignerKey = (id: string) => Promise<Buffer | undefined>

/** One way of storing passwords, told by how the stored text begins. */
export interface Scheme {
  /** as it is called where it is refused */
  name: string
  begins: RegExp
  read(stored: string, findSignerKey: FindSignerKey): Check | HashFault
}
