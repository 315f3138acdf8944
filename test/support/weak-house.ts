import { inject } from 'vitest'
import { BACKGROUND } from './background.ts'
import { createFlow, type Flow } from './flow.ts'
import { type House, startHouse } from './house.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

export interface WeakHouse {
  /** the house whose database goes by way of the proxy */
  house: House
  proxy: TcpProxy
  app: { id: string; secret: string }
  newFlow(): Flow
  stop(): Promise<void>
}

/** A house whose database can be made to fail, with a client `app` and an account `alex`. */
export async function startWeakHouse(env: Record<string, string> = {}): Promise<WeakHouse> {
  const sound = await startHouse()
  const proxy = await startTcpProxy(Number(new URL(inject('postgresUrl')).port), BACKGROUND)
  const url = proxy.url(sound.variables.DATABASE_URL ?? '')
  const house = await startHouse({ beside: sound, env: { DATABASE_URL: url, ...env } })
  const app = await house.addClient('app', { grants: ['authorization_code', 'refresh_token'] })
  await house.addAccount('alex')
  return {
    house,
    proxy,
    app,
    newFlow: () => createFlow(house, { url: house.url, client: app }),
    async stop() {
      await house.stop()
      await proxy.stop()
      await sound.stop()
    },
  }
}
