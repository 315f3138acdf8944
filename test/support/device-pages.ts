import type { Visit, World } from './browser.ts'
import type { Walk } from './every-page.ts'

/** The pages on which people connect a TV or a command line. */
export const DEVICE_PAGES: Record<string, Walk> = {
  'a wrong code of a device': {
    heading: 'Enter the code your device shows',
    async open({ page }, { house }) {
      await page.goto(`${house.issuer}/device`)
      await page.getByLabel('Code').fill('BCDF-GHJK')
      await page.getByRole('button', { name: 'Continue' }).click()
      await page.getByRole('alert').waitFor()
    },
  },
  'a device to confirm': {
    heading: 'Connect your device to Third Party?',
    open: toQuestion,
  },
  'a device that was refused': {
    heading: 'Nothing was connected',
    async open(visit, world) {
      await toQuestion(visit, world)
      await visit.page.getByRole('button', { name: 'Cancel' }).click()
    },
  },
}

/** As by the address that a device shows as a QR code. */
async function toQuestion({ page }: Visit, { house }: World): Promise<void> {
  await house.rooms.clients
    .create({ id: 'tv', name: 'Third Party', public: true, grants: ['device_code'] })
    .catch(() => {})
  const answer = await fetch(`${house.url}/device/auth`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'tv', scope: 'openid profile phone' }),
  })
  const { verification_uri_complete: address }: Record<string, unknown> = JSON.parse(
    await answer.text(),
  )
  await page.goto(String(address))
  await page.getByRole('button', { name: 'Continue' }).click()
}
