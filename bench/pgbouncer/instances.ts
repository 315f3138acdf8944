import { setTimeout as pause } from 'node:timers/promises'
import { readConfig } from '../../src/config/config.ts'
import { completeSecrets } from '../../src/config/development-keys.ts'
import type { Db } from '../../src/db/schema.ts'
import { createLog } from '../../src/log.ts'
import { startServer } from '../../src/server.ts'
import { type FakeTextbee, startFakeTextbee } from '../../test/support/fake-textbee.ts'
import { freePort } from '../../test/support/ports.ts'
import { type Connection, openConnection } from '../sign-in/http.ts'
import { furnish, variablesFor } from '../sign-in/ours.ts'
import { CLIENT, phoneOf, textedName } from '../sign-in/people.ts'
import { refresh, signIn, type Visit } from '../sign-in/walk.ts'

/** Somebody who signs in again and again. */
export interface Visitor {
  /** One sign-in by password and texted code, from nothing to tokens, and their renewal. @throws Error */
  signIn(): Promise<unknown>
}

interface Shape {
  instances: number
  /** of each instance to the database, at most */
  connections: number
  people: number
}

/**
 * Instances that start at once on an empty database, with an app and people.
 * @param url of the database as the instances reach it
 * @param db the same without anything between
 */
export async function openInstances(
  url: string,
  db: Db,
  { instances: count, connections, people }: Shape,
) {
  const gateway = await startFakeTextbee()
  const ports = await Promise.all(Array.from({ length: count }, freePort))
  const [port = 0] = ports
  const missing = new Set<string>()
  let migrated = 0
  const log = createLog('info', false, {
    write(line) {
      const { msg, missing: names } = JSON.parse(line)
      if (msg === 'migrated') migrated += 1
      for (const name of names ?? []) missing.add(name)
    },
  })
  const variables = {
    ...variablesFor(port, url, gateway),
    DATABASE_POOL_SIZE: String(connections),
  }
  const instances = await Promise.all(
    ports.map((own) => {
      const { config, secrets } = readConfig({ ...variables, PORT: String(own) })
      return startServer({ config, secrets: completeSecrets(config, secrets, () => {}), log })
    }),
  )
  await Promise.all(instances.map(({ ready }) => ready))
  const { secret } = await furnish(db, variables, people)
  const visitors = Array.from({ length: people }, (_, number): Visitor & { visit: Visit } => {
    const connection = byTurns(ports.map(openConnection), number)
    const visit = { connection, port, client: CLIENT.id, secret, address: `10.0.0.${number}` }
    const code = codesOf(gateway, phoneOf(number))
    return {
      visit,
      signIn: async () => refresh(visit, await signIn(visit, textedName(number), code)),
    }
  })
  return {
    visitors,
    missing: [...missing],
    migrated,
    async close() {
      for (const { visit } of visitors) visit.connection.close()
      await Promise.all(instances.map((instance) => instance.stop()))
      await gateway.close()
    },
  }
}

/** Each request goes to the next instance after that of the one before. */
function byTurns(connections: readonly Connection[], first: number): Connection {
  let turn = first
  return {
    request(...asked) {
      const connection = connections[turn++ % connections.length]
      if (!connection) throw new Error('there is no instance')
      return connection.request(...asked)
    },
    close() {
      for (const connection of connections) connection.close()
    },
  }
}

/** Waits for the next text to a number, and takes its code: each sign-in has one of its own. */
function codesOf(gateway: FakeTextbee, number: string): () => Promise<string> {
  let taken = 0
  return async () => {
    for (let looks = 0; looks < 250; looks++) {
      const texts = gateway.messages.filter(({ to }) => to === number)
      if (texts.length > taken) {
        taken = texts.length
        return /#(\d+)$/.exec(texts.at(-1)?.text ?? '')?.[1] ?? ''
      }
      await pause(20)
    }
    throw new Error(`no text came to ${number}`)
  }
}
