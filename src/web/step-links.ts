import type { ClientRow } from '../oidc/client-rows.ts'
import type { Visitor } from '../second-factor/challenge-parts.ts'
import type { Visitors } from './visitor.ts'

export type StepLinks = ReturnType<typeof createStepLinks>

/** Where the forms of an interaction go, and the token that all of them carry. */
export function createStepLinks({ formToken }: Pick<Visitors, 'formToken'>) {
  return (visitor: Visitor) => {
    const base = `/interaction/${encodeURIComponent(visitor.interaction)}`
    return {
      formToken: formToken(visitor),
      cancelUrl: `${base}/cancel`,
      restartUrl: `${base}/restart`,
      baseUrl: base,
      actionUrl: (step: string) => `${base}/${step}`,
    }
  }
}

/** The app that an interaction is for, as its pages call it. */
export function nameOf(app: ClientRow | undefined): string | null {
  return app ? (app.client_name ?? app.client_id) : null
}
