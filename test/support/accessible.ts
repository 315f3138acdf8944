import axe from 'axe-core'
import type { Page } from 'playwright-core'

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']

/** In the page: what is folded away has to be right, too. */
export const UNFOLD = `document.querySelectorAll('details').forEach((folded) => { folded.open = true })`

/** In the page: by how many pixels it is wider than its window. */
export const TOO_WIDE = 'Math.max(0, document.documentElement.scrollWidth - innerWidth)'

/** What can be right at one size or in one scheme and wrong in another. */
export const OF_LOOKS = [
  'color-contrast',
  'link-in-text-block',
  'scrollable-region-focusable',
  'target-size',
]

/** In the page: a line for each element that breaks a rule. */
const judge = (options: axe.RunOptions) => `axe.run(document, ${JSON.stringify(options)}).then(
  ({ violations }) => violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html }) => id + ': ' + help + ': ' + html)))`

/**
 * Judges the page as it stands.
 * @param rules those to judge it by, where not by all
 * @returns what keeps somebody from using it, a line each
 */
export async function violations(page: Page, rules?: string[]): Promise<string[]> {
  // Half a megabyte, which a page that is judged twice needs once.
  if (!(await page.evaluate<boolean>('"axe" in window'))) await page.evaluate(axe.source)
  return page.evaluate<string[]>(
    judge({
      resultTypes: ['violations'],
      runOnly: rules ? { type: 'rule', values: rules } : { type: 'tag', values: TAGS },
    }),
  )
}
