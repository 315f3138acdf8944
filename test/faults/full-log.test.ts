import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Child, killChildren, startChild } from '../support/children.ts'
import { createFlow } from '../support/flow.ts'
import { type House, startHouse } from '../support/house.ts'
import { freePort } from '../support/ports.ts'

/** A file on which there is never any room. */
const FULL = '/dev/full'
const LOG_TO_IT = `import fs from 'node:fs'; fs.closeSync(1); fs.openSync('${FULL}', 'w')`

describe.skipIf(!existsSync(FULL))('an instance with no room for its log', () => {
  let house: House
  let instance: Child
  let url: string

  beforeAll(async () => {
    house = await startHouse()
    const port = String(await freePort())
    url = `http://localhost:${port}`
    instance = startChild('src/main.ts', [], {
      ...house.variables,
      PORT: port,
      NODE_ENV: 'production',
      SMS_ALLOWED_COUNTRIES: '*',
      HOST: '127.0.0.1',
      LOG_LEVEL: 'trace',
      NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(LOG_TO_IT)}"`,
    })
    // It can't say that it is ready.
    while (!(await isReady())) {
      if (instance.process.exitCode !== null) throw new Error(instance.err)
      await pause(50)
    }
  })
  afterAll(async () => {
    await killChildren()
    await house.stop()
  })

  const isReady = () =>
    fetch(`${url}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    )

  test('serves on, and the audit trail has what was done (input 114)', async () => {
    const client = await house.addClient('app')
    const { id } = await house.addAccount('alex')
    for (let round = 0; round < 2; round++) {
      const flow = createFlow(house, { client, url })
      const query = await flow.complete('alex')
      expect((await flow.redeem(query.get('code') ?? '')).status).toBe(200)
    }
    const events = await house.db
      .selectFrom('audit_event')
      .select('type')
      .where('account_id', '=', id)
      .where('type', '=', 'code.right')
      .execute()
    expect(events).toHaveLength(2)
    instance.process.kill('SIGTERM')
    expect(await instance.ended).toBe(0)
  })
})
