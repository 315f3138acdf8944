import { setTimeout as pause } from 'node:timers/promises'
import { DETAIL } from '../../src/messaging/notices.ts'
import { type Answer, createFlow, type Flow } from './flow.ts'
import type { House } from './house.ts'

/** A browser of its own, at an address of its own where the house trusts a proxy. */
export function newBrowser(house: House, address = '198.51.100.1'): Flow {
  return createFlow(house, { headers: { 'x-forwarded-for': address } })
}

/** The token in a page's form. */
export function formTokenOf({ html }: Answer): string {
  return /name="form_token" value="([^"]+)"/.exec(html)?.[1] ?? ''
}

/** Opens the page of a form and sends the form. */
export async function fillIn(
  browser: Flow,
  url: string,
  fields: Record<string, string>,
): Promise<Answer> {
  const page = await browser.request(url)
  return browser.post(url, { form_token: formTokenOf(page), ...fields })
}

export function askForLink(browser: Flow, username: string): Promise<Answer> {
  return fillIn(browser, '/password/forgotten', { username })
}

export function choosePassword(browser: Flow, link: string, password: string): Promise<Answer> {
  return fillIn(browser, link, { password, again: password })
}

/** The newest link that was mailed to an account; waits for it, and finds it whether or not its mail has left. */
export async function mailedLink(house: House, accountId: string, but?: string): Promise<string> {
  for (let looks = 0; looks < 400; looks++) {
    const notices = await house.db
      .selectFrom('notice')
      .select(['id', 'detail'])
      .where('account_id', '=', accountId)
      .where('kind', 'like', 'mail.%')
      .orderBy('created_at', 'desc')
      .limit(1)
      .execute()
    const waiting = notices.map(({ id, detail }) =>
      detail ? house.rooms.vault.open(detail, { column: DETAIL, row: id }).toString() : '',
    )
    const { email } = (await house.rooms.accounts.findById(accountId)) ?? {}
    const link = linkIn(waiting.join()) ?? linkIn((await sentMails(house, email)).at(-1) ?? '')
    if (link && link !== but) return link
    await pause(25)
  }
  throw new Error('no link was mailed')
}

async function sentMails(house: House, email: string | null | undefined): Promise<string[]> {
  const answer = await fetch(new URL('/dev/outbox.json', house.url))
  const mails: Array<{ to: string; text: string }> = JSON.parse(await answer.text())
  return mails.filter(({ to }) => to === email).map(({ text }) => text)
}

function linkIn(text: string): string | undefined {
  return /http[^\s"]+\/link\/[\w-]{43}/.exec(text)?.[0]
}
