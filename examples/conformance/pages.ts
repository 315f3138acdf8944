import type { Page } from 'playwright-core'

/** Who signs in on Sallyport's pages. */
export interface Person {
  username: string
  password: string
  /** the code that was just texted */
  readCode: () => Promise<string>
}

/** An address that the suite wants a browser to go to. */
export interface Visit {
  url: string
  method: string
}

/** More pages than any sign-in has. */
const MOST_PAGES = 10

/** Goes where the suite wants a browser to go, and does what Sallyport's pages ask until they ask for no more. */
export async function follow(page: Page, { url, method }: Visit, person: Person): Promise<void> {
  if (method === 'POST') await postTo(page, url)
  else await page.goto(url)
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    if (!(await answer(page, person))) return
  }
  throw new Error(`no end at ${page.url()}`)
}

/** A form of another site, with the parameters as its fields. */
async function postTo(page: Page, url: string): Promise<void> {
  const { origin, pathname, searchParams } = new URL(url)
  const fields = [...searchParams].map(
    ([name, value]) => `<input type="hidden" name="${escaped(name)}" value="${escaped(value)}">`,
  )
  const action = escaped(origin + pathname)
  await page.goto('about:blank')
  await page.setContent(
    `<form method="post" action="${action}">${fields.join('')}<button>Go</button></form>`,
  )
  await Promise.all([page.waitForNavigation(), page.click('button')])
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}

/** @returns whether the page asked for anything */
async function answer(page: Page, { username, password, readCode }: Person): Promise<boolean> {
  const isThere = async (selector: string) => (await page.locator(selector).count()) > 0
  let button = 'button.main'
  if (await isThere('#username')) {
    await page.fill('#username', username)
    await page.fill('#password', password)
  } else if (await isThere('#code')) await page.fill('#code', await readCode())
  else if (await isThere('button[name=logout]')) button = 'button[name=logout]'
  else if (!(await isThere('form[action$="/consent"]'))) return false
  await Promise.all([page.waitForNavigation(), page.click(button)])
  return true
}
