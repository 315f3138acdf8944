import { test, expect } from 'vitest'
import { startHouse, PHONES } from '../support/house.ts'
import { signInToAccount } from '../support/account.ts'
import { openWorld } from '../support/browser.ts'
test('walk', async () => {
  const house = await startHouse({ env: { TRUSTED_DEVICE_DAYS: '30' } })
  await house.addAccount('alex')
  const me = await signInToAccount(house, 'alex')
  console.log(me.arrived.status, me.arrived.html.slice(0, 200), me.token)
  for (const p of ['', '/phones', '/phones/add', '/app', '/app/add', '/backup-codes', '/backup-codes/new', '/password', '/browsers', '/sessions', '/apps', '/history']) {
    const a = await me.get('/account' + p)
    console.log(p, a.status, /<h1>([^<]*)/.exec(a.html)?.[1], a.status >= 500 ? house.logged.at(-1) + house.logged.at(-2) : '')
  }
  const added = await me.addPhone(PHONES[1])
  console.log(added.status, added.location, added.html.slice(0, 300))
  console.log(await me.text('/account/phones'))
  console.log(await me.text('/account/history'))
  console.log(await me.text('/account'))
  await house.stop()
}, 60000)
