import { AsyncLocalStorage } from 'node:async_hooks'

/** Who acts, in which request, from where: what every audit event says of its surroundings. */
export interface Circumstances {
  /** `self`, `system`, `command-line`, or who else acts, with an id: `admin:ID`, `client:ID`, `gateway:NAME` */
  actor: string
  /** why, in the words of an admin; part of every event of theirs */
  reason?: string
  requestId: string | null
  /** fingerprint of the client's address, never the address */
  address: string | null
  /** fingerprint of the network that its address is one of very many in */
  network?: string
  /** for the account's owner to know again; told in notices, never recorded */
  place?: { address: string; browser: string }
}

const storage = new AsyncLocalStorage<Circumstances>()

/** Nobody asked for it: housekeeping, a watch that raised an alert. */
const BY_ITSELF: Circumstances = { actor: 'system', requestId: null, address: null }

/** Runs work in these circumstances, so that what it records needn't be told them. */
export function inCircumstances<T>(circumstances: Circumstances, work: () => T): T {
  return storage.run(circumstances, work)
}

/** What a line of the log says of its request, wherever in the house it is written. */
export function requestForLog(): Record<string, string> {
  const request = storage.getStore()?.requestId
  return typeof request === 'string' ? { request } : {}
}

export function circumstances(): Circumstances {
  return storage.getStore() ?? BY_ITSELF
}
