import { type Account, ROLES, type Role } from '../accounts/account.ts'
import { circumstances, inCircumstances } from '../audit/circumstances.ts'
import { Refusal } from '../errors.ts'

/** What can be done at the admin's side, and which roles may. */
const GRANTED = {
  'dashboard.read': ['admin', 'helpdesk', 'auditor'],
  'people.read': ['admin', 'helpdesk', 'auditor'],
  /** make, edit, disable and delete accounts, and set their numbers */
  'people.write': ['admin'],
  /** let somebody in again: unlock, resend, reset a factor, hand out a bypass code, end what is open */
  'people.help': ['admin', 'helpdesk'],
  /** a second admin's consent to a code of the help desk */
  'bypass.approve': ['admin'],
  /** everything about one person, and all accounts as a file */
  'people.export': ['admin'],
  'people.import': ['admin'],
  /** whole phone numbers; everybody else sees their last digits */
  'numbers.read': ['admin'],
  'roles.write': ['admin'],
  'apps.read': ['admin', 'helpdesk', 'auditor'],
  'apps.write': ['admin'],
  'keys.read': ['admin', 'auditor'],
  'keys.write': ['admin'],
  'messages.read': ['admin', 'helpdesk', 'auditor'],
  'limits.read': ['admin', 'helpdesk', 'auditor'],
  'limits.write': ['admin'],
  'audit.read': ['admin', 'helpdesk', 'auditor'],
  'settings.read': ['admin', 'auditor'],
  'webhooks.read': ['admin', 'auditor'],
  'webhooks.write': ['admin'],
} as const satisfies Record<string, readonly Role[]>

export type Permission = keyof typeof GRANTED

const isPermission = (name: string): name is Permission => Object.hasOwn(GRANTED, name)
const PERMISSIONS = Object.keys(GRANTED).filter(isPermission)

/** What an actor may do, by name with _ for the full stop, as templates ask for it. */
export function everyMay(actor: Actor): Record<string, boolean> {
  return Object.fromEntries(
    PERMISSIONS.map((permission) => [permission.replace('.', '_'), may(actor, permission)]),
  )
}

/** Who acts at the admin's side: a person with a role, or a program with a token of its own. */
export interface Actor {
  kind: 'person' | 'client'
  /** of the account or the client */
  id: string
  /** what they may do now: the person's role, or less where their token allows only reading */
  role: Role
}

const RANKS: Record<Role, number> = { auditor: 1, helpdesk: 2, admin: 3 }

const rankOf = (role: Role | null): number => (role === null ? 0 : RANKS[role])

export function may({ kind, role }: Actor, permission: Permission): boolean {
  // A program that reads accounts to keep them elsewhere needs the numbers; it has no eyes to look over.
  if (permission === 'numbers.read' && kind === 'client') return true
  return GRANTED[permission].some((one) => one === role)
}

/** Which roles have a permission, for pages and documents that say so. */
export function rolesWith(permission: Permission): readonly Role[] {
  return GRANTED[permission]
}

/** @throws Refusal */
export function assertMay(actor: Actor, permission: Permission): void {
  if (may(actor, permission)) return
  const roles = GRANTED[permission].join(' or ')
  throw new Refusal('forbidden', 403, `Your role may not do that; it takes ${roles}.`)
}

/**
 * A lower role can't touch a higher one (ADM-12), and nobody helps themselves past what protects them: what a
 * person can do for their own account is at /account, behind its own proofs.
 * @throws Refusal
 */
export function assertMayTouch(actor: Actor, { id, role }: Pick<Account, 'id' | 'role'>): void {
  if (actor.kind === 'person' && actor.id === id) {
    throw new Refusal(
      'own_account',
      403,
      'This is your own account. Change it at /account, or ask another admin.',
    )
  }
  if (rankOf(role) > RANKS[actor.role]) {
    throw new Refusal(
      'higher_role',
      403,
      `This account has the role ${role}, which is above yours.`,
    )
  }
}

/** The account of a person who acted, as events name them; null for everybody else. */
export function accountOf(actor: string): string | null {
  const [role, id] = actor.split(':')
  return id !== undefined && ROLES.some((one) => one === role) ? id : null
}

/** An actor as the audit trail and the log name them. */
export function actorName({ kind, id, role }: Actor): string {
  return kind === 'client' ? `client:${id}` : `${role}:${id}`
}

/**
 * Runs what an actor does, so that every event of it tells who and why.
 * @param reason in the actor's words; undefined where none is asked for
 */
export function asActor<T>(by: Actor, reason: string | undefined, work: () => T): T {
  // The place is for an account's owner to know again; an admin's says nothing to them, and is nobody's business.
  const { requestId, address } = circumstances()
  return inCircumstances(
    { requestId, address, actor: actorName(by), ...(reason !== undefined && { reason }) },
    work,
  )
}
