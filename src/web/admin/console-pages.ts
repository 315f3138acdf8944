import type { Context } from 'koa'
import { everyMay, may, type Permission } from '../../admin/permissions.ts'
import type { Language } from '../../languages/language.ts'
import type { Pages } from '../pages.ts'
import { CONSOLE_URL } from './console-app.ts'
import { doneOf } from './done.ts'
import type { Who } from './who.ts'

export type ConsolePages = ReturnType<typeof createConsolePages>

interface Entry {
  url: string
  label: string
  icon: string
  permission: Permission
}

/** The ways through the console, in the order in which they are used. */
const WAYS: readonly Entry[] = [
  { url: CONSOLE_URL, label: 'Overview', icon: 'chart', permission: 'dashboard.read' },
  { url: `${CONSOLE_URL}/people`, label: 'People', icon: 'people', permission: 'people.read' },
  { url: `${CONSOLE_URL}/apps`, label: 'Apps', icon: 'grid', permission: 'apps.read' },
  {
    url: `${CONSOLE_URL}/messages`,
    label: 'Messages',
    icon: 'message',
    permission: 'messages.read',
  },
  { url: `${CONSOLE_URL}/limits`, label: 'Limits', icon: 'shield', permission: 'limits.read' },
  { url: `${CONSOLE_URL}/alerts`, label: 'Alerts', icon: 'warning', permission: 'dashboard.read' },
  { url: `${CONSOLE_URL}/audit`, label: 'Audit', icon: 'list', permission: 'audit.read' },
  { url: `${CONSOLE_URL}/keys`, label: 'Keys', icon: 'key', permission: 'keys.read' },
  { url: `${CONSOLE_URL}/settings`, label: 'Settings', icon: 'gear', permission: 'settings.read' },
]

/** The way that a page belongs to: the one its address begins with. */
function wayOf(path: string): string {
  const [, , first] = path.split('/')
  return first ? `${CONSOLE_URL}/${first}` : CONSOLE_URL
}

/** Draws the console's pages, which are in English. */
export function createConsolePages({ pages, english }: { pages: Pages; english: Language }) {
  function draw(ctx: Context, status: number, name: string, data: object): void {
    ctx.status = status
    ctx.type = 'html'
    ctx.set('Content-Language', english.tag)
    ctx.body = pages.render(english, `admin/${name}`, data)
  }

  return {
    /**
     * A page for somebody who is in.
     * @param name of a file in `views/admin`
     */
    show(ctx: Context, who: Who, name: string, data: object, status = 200): void {
      const ways = WAYS.filter(({ permission }) => may(who.actor, permission)).map((way) => ({
        ...way,
        current: way.url === wayOf(ctx.path),
      }))
      draw(ctx, status, name, {
        ways,
        username: who.account.username,
        role: who.actor.role,
        formToken: who.formToken,
        done: doneOf(ctx),
        path: ctx.path,
        may: everyMay(who.actor),
        ...data,
      })
    },

    /** A page for somebody who isn't. */
    tell(
      ctx: Context,
      status: number,
      data: { title: string; message: string; next: { url: string; text: string } | null },
    ): void {
      draw(ctx, status, 'told', data)
    },

    draw,
  }
}
