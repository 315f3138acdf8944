import type { Db } from '../db/schema.ts'

/** Where and in what language an account's owner is written to. */
export async function contactOf(
  on: Db,
  accountId: string,
): Promise<{ email: string | null; language: string | null }> {
  const row = await on
    .selectFrom('account')
    .select(['email', 'language'])
    .where('id', '=', accountId)
    .executeTakeFirst()
  return row ?? { email: null, language: null }
}
